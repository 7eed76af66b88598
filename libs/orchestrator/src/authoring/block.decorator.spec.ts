import 'reflect-metadata';
import { Type } from 'class-transformer';
import { IsEmail, IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min, ValidateNested } from 'class-validator';
import { Block, SecretField } from './block.decorator.js';
import { Secret } from '../runtime/secrets/secret.js';
import { registrationOf } from '../runtime/blocks/block-schema.js';

class Login {
  @IsString()
  user!: string;

  @SecretField()
  password!: Secret;
}

@Block({
  slug: 'mail-server',
  name: 'Mail server',
  description: 'Sends mail.',
  capabilities: ['notify', 'mail', 'mail'],
})
class MailServer {
  @IsString()
  @MaxLength(253)
  host!: string;

  @IsInt()
  @Min(1)
  @Max(65_535)
  port = 587;

  @IsOptional()
  @IsEmail()
  from?: string;

  @IsIn(['tls', 'plain'])
  mode!: 'tls' | 'plain';

  @IsString({ each: true })
  tags!: string[];

  @ValidateNested()
  @Type(() => Login)
  login!: Login;

  @SecretField({ optional: true })
  token?: Secret;
}

@Block({ slug: 'bare' })
class Bare {}

describe('what is registered of a block class', () => {
  it('is its type, and the schema of its fields [A04]', () => {
    const { type, schema } = registrationOf(MailServer);
    expect(type).toEqual({
      slug: 'mail-server',
      name: 'Mail server',
      description: 'Sends mail.',
      logoUrl: null,
      documentationUrl: null,
      codeExample: null,
    });
    expect(schema).toEqual({
      checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      version: 'non-versioned',
      capabilities: ['mail', 'notify'],
      fields: {
        title: 'Mail server',
        description: 'Sends mail.',
        type: 'object',
        properties: {
          from: { title: 'from', type: 'string', format: 'email' },
          host: { title: 'host', type: 'string', maxLength: 253 },
          login: { title: 'login', type: 'object' },
          mode: { title: 'mode', type: 'string', enum: ['tls', 'plain'] },
          port: { title: 'port', type: 'integer', minimum: 1, maximum: 65_535, default: 587 },
          tags: { title: 'tags', type: 'array', items: { type: 'string' } },
          token: { title: 'token', type: 'string', writeOnly: true, format: 'password' },
        },
        required: ['host', 'login', 'mode', 'tags'],
        block_type_slug: 'mail-server',
        secret_fields: ['login.password', 'token'],
        block_schema_references: {},
      },
    });
  });

  it('has one checksum for one set of fields', () => {
    const before = registrationOf(MailServer).schema.checksum;
    expect(registrationOf(MailServer).schema.checksum).toBe(before);
    expect(registrationOf(Bare).schema.checksum).not.toBe(before);
  });

  it('may be little', () => {
    expect(registrationOf(Bare).type).toMatchObject({ slug: 'bare', name: 'Bare' });
    expect(registrationOf(Bare).schema.fields).toMatchObject({ properties: {}, required: [], secret_fields: [] });
  });

  it('is nothing of a class that is no block, or whose parent is one', () => {
    class Child extends MailServer {}
    expect(() => registrationOf(class Other {})).toThrow(/Class Other is no block/);
    expect(() => registrationOf(Child)).toThrow(/Class Child is no block/);
  });

  it.each([{ slug: 'Mail Server' }, { slug: '' }, { slug: 'a-' }, { slug: 'a', name: 'a/b' }, { slug: 'a', name: '' }])(
    'cannot be called %j',
    (options) => {
      expect(() => Block(options)(class Wrong {})).toThrow(/^Option "(slug|name)" of Wrong is /);
    },
  );
});
