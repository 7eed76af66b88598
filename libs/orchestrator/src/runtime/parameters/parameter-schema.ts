/** What may stand in one place of the parameters, in the keywords of JSON Schema. Without keywords: anything. */
export interface JsonSchema {
  readonly title?: string;
  readonly description?: string;
  /** What a value that is left out stands for. */
  readonly default?: unknown;
  readonly type?: 'string' | 'number' | 'integer' | 'boolean' | 'object' | 'array';
  /** `date-time`, `email`, `uuid`, `uri`, `hostname`, `ipv4` or `ipv6`. */
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly not?: JsonSchema;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly contentMediaType?: string;
  readonly contentEncoding?: string;
  /** What is taken and never shown: secrets. */
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  /** `#/definitions/…` of the whole. */
  readonly $ref?: string;
  readonly allOf?: readonly JsonSchema[];
}

/** What a flow takes, by the names under which its runs record it: a JSON schema that forms can be made of. */
export interface ParameterSchema extends JsonSchema {
  readonly title: 'Parameters';
  readonly type: 'object';
  /** The fields of the one object that the flow takes, or its arguments by their position from `"0"`. */
  readonly properties: Readonly<Record<string, JsonSchema & { /** From 0. */ readonly position: number }>>;
  /** The classes that are referred to, by name. */
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
}
