import { SetMetadata, type CustomDecorator } from '@nestjs/common';

/** Metadata key of {@link Public}. */
export const PUBLIC_METADATA = Symbol('nestor.public');

/** Lets requests without credentials through: what asks whether we are alive knows no password. */
export const Public = (): CustomDecorator<symbol> => SetMetadata(PUBLIC_METADATA, true);
