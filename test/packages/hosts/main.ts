/** `main.ts` of a fresh application, with the call that the README gives as its example, and an end. */
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { Hello } from './hello.flow.js';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
  console.log(await app.get(Hello).greetAll({ names: ['Ada', 'Grace'] }));
  await app.close();
}
void bootstrap();
