import 'reflect-metadata';
import { Type } from 'class-transformer';
import {
  Allow,
  ArrayMaxSize,
  ArrayMinSize,
  ArrayNotEmpty,
  ArrayUnique,
  Equals,
  IsArray,
  IsBase64,
  IsBoolean,
  IsDate,
  IsDateString,
  IsDefined,
  IsDivisibleBy,
  IsEmail,
  IsEnum,
  IsFQDN,
  IsIn,
  IsInt,
  IsIP,
  IsISO8601,
  IsJSON,
  IsNegative,
  IsNotEmpty,
  IsNotEmptyObject,
  IsNotIn,
  IsNumber,
  IsObject,
  IsOptional,
  IsPositive,
  IsRFC3339,
  IsString,
  IsUrl,
  IsUUID,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  MinLength,
  NotEquals,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import type { JsonSchema } from '../parameters/parameter-schema.js';
import { currentScope } from '../engine/run-scope.js';
import { shapeOf } from './class-shape.js';
import { schemaOfTypes } from './schema-of-types.js';

enum Colour {
  Red = 'red',
  Blue = 'blue',
}
enum Level {
  Low = 1,
  High = 2,
}

/** The schema of the only field of a class: `field` with the given decorators and type. */
function schemaOfField(type: unknown, ...decorators: PropertyDecorator[]): JsonSchema {
  class Parameters {}
  const field = [...decorators, Reflect.metadata('design:type', type)] as PropertyDecorator[];
  Reflect.decorate(field, Parameters.prototype, 'field');
  const { position, title, ...schema } = schemaOfTypes([], shapeOf(Parameters)).properties.field!;
  expect({ position, title }).toEqual({ position: 0, title: 'field' });
  return schema;
}

describe('the schema of a field', () => {
  it.each<[string, unknown, PropertyDecorator[], JsonSchema]>([
    ['a text', String, [IsString()], { type: 'string' }],
    ['a number', Number, [IsNumber()], { type: 'number' }],
    ['a whole number', Number, [IsInt()], { type: 'integer' }],
    ['a truth value', Boolean, [IsBoolean()], { type: 'boolean' }],
    ['a date', Date, [IsDate()], { type: 'string', format: 'date-time' }],
    ['a big integer', BigInt, [IsDefined()], { type: 'integer' }],
    ['an object', Object, [IsObject()], { type: 'object' }],
    ['an object with something in it', Object, [IsNotEmptyObject()], { type: 'object' }],
    ['a map', Map, [IsDefined()], { type: 'object' }],
    ['anything', Object, [Allow()], {}],
    ['a number, of which TypeScript does not tell', Object, [IsInt()], { type: 'integer' }],
    ['a text in an enumeration', String, [IsEnum(Colour)], { type: 'string', enum: ['red', 'blue'] }],
    ['a number in an enumeration', Number, [IsEnum(Level)], { type: 'number', enum: [1, 2] }],
    ['one of some', String, [IsIn(['a', 'b'])], { type: 'string', enum: ['a', 'b'] }],
    ['none of some', String, [IsNotIn(['a'])], { type: 'string', not: { enum: ['a'] } }],
    ['a constant', String, [Equals('a')], { type: 'string', const: 'a' }],
    ['anything but one', String, [NotEquals('a')], { type: 'string', not: { const: 'a' } }],
    ['limits', Number, [Min(1), Max(9)], { type: 'number', minimum: 1, maximum: 9 }],
    ['positive', Number, [IsPositive()], { type: 'number', exclusiveMinimum: 0 }],
    ['negative', Number, [IsNegative()], { type: 'number', exclusiveMaximum: 0 }],
    ['divisible', Number, [IsDivisibleBy(5)], { type: 'number', multipleOf: 5 }],
    ['lengths', String, [MinLength(2), MaxLength(4)], { type: 'string', minLength: 2, maxLength: 4 }],
    ['a length in one', String, [Length(2, 4)], { type: 'string', minLength: 2, maxLength: 4 }],
    ['a least length in one', String, [Length(2)], { type: 'string', minLength: 2 }],
    ['not empty', String, [IsNotEmpty()], { type: 'string', minLength: 1 }],
    ['not empty, and longer', String, [IsNotEmpty(), MinLength(3)], { type: 'string', minLength: 3 }],
    ['a number that is not empty', Number, [IsNotEmpty()], { type: 'number' }],
    ['a pattern', String, [Matches(/^[a-z]+$/u)], { type: 'string', pattern: '^[a-z]+$' }],
    ['a pattern as text', String, [Matches('^a', 'g')], { type: 'string', pattern: '^a' }],
    ['a pattern that JSON Schema cannot say', String, [Matches(/^a$/i)], { type: 'string' }],
    ['an e-mail address', String, [IsEmail()], { type: 'string', format: 'email' }],
    ['a UUID', String, [IsUUID()], { type: 'string', format: 'uuid' }],
    ['a URL', String, [IsUrl()], { type: 'string', format: 'uri' }],
    ['a host name', String, [IsFQDN()], { type: 'string', format: 'hostname' }],
    ['an address of IPv4', String, [IsIP(4)], { type: 'string', format: 'ipv4' }],
    ['an address of either kind', String, [IsIP()], { type: 'string' }],
    ['a date as text', String, [IsDateString()], { type: 'string', format: 'date-time' }],
    ['a date of ISO 8601', String, [IsISO8601()], { type: 'string', format: 'date-time' }],
    ['a date of RFC 3339', String, [IsRFC3339()], { type: 'string', format: 'date-time' }],
    ['JSON', String, [IsJSON()], { type: 'string', contentMediaType: 'application/json' }],
    ['base64', String, [IsBase64()], { type: 'string', contentEncoding: 'base64' }],
    ['a list', Array, [IsArray()], { type: 'array' }],
    ['a list, of which TypeScript does not tell', Object, [IsArray()], { type: 'array' }],
    ['a list of texts', Array, [IsString({ each: true })], { type: 'array', items: { type: 'string' } }],
    [
      'a list of some of some',
      Array,
      [IsIn(['a', 'b'], { each: true })],
      { type: 'array', items: { enum: ['a', 'b'] } },
    ],
    [
      'a list with limits, and limits of what is in it',
      Array,
      [ArrayMinSize(1), ArrayMaxSize(3), ArrayUnique(), IsInt({ each: true }), Min(5, { each: true })],
      { type: 'array', minItems: 1, maxItems: 3, uniqueItems: true, items: { type: 'integer', minimum: 5 } },
    ],
    ['a list that is not empty', Array, [ArrayNotEmpty()], { type: 'array', minItems: 1 }],
    ['a set', Set, [IsString({ each: true })], { type: 'array', items: { type: 'string' }, uniqueItems: true }],
    [
      'a description',
      String,
      [IsString({ context: { description: 'How so' } })],
      { type: 'string', description: 'How so' },
    ],
    [
      'a description for the OpenAPI document',
      String,
      [IsString(), Reflect.metadata('swagger/apiModelProperties', { description: 'How so' })],
      { type: 'string', description: 'How so' },
    ],
  ])('%s', (_, type, decorators, expected) => {
    expect(schemaOfField(type, ...decorators)).toEqual(expected);
  });
});

class Point {
  @IsNumber()
  x: number = 0;

  @IsNumber()
  y!: number;
}

class Segment {
  @ValidateNested()
  @IsDefined()
  from!: Point;

  @ValidateNested()
  @Type(() => Point)
  to: Point = Object.assign(new Point(), { y: 2 });
}

class Drawing {
  @IsString()
  name!: string;

  @ValidateNested({ each: true })
  @Type(() => Segment)
  @IsArray()
  segments: Segment[] = [];

  @ValidateNested()
  origin?: Point;

  @ValidateNested({ each: true })
  @Type(() => Drawing)
  layers?: Drawing[];

  /** No rules: it is taken, and the schema does not say so. */
  kind = 'drawing';
}

const POINT = {
  title: 'Point',
  type: 'object',
  properties: { x: { title: 'x', type: 'number', default: 0 }, y: { title: 'y', type: 'number' } },
  required: ['y'],
  additionalProperties: false,
};

describe('the schema of a flow', () => {
  it('that takes one object has its fields, and the classes within it as definitions', () => {
    const { definitions, ...schema } = schemaOfTypes([], shapeOf(Drawing));
    expect(schema).toEqual({
      title: 'Parameters',
      type: 'object',
      properties: {
        name: { position: 0, title: 'name', type: 'string' },
        segments: {
          ...{ position: 1, title: 'segments', type: 'array', default: [] },
          items: { allOf: [{ $ref: '#/definitions/Segment' }] },
        },
        origin: { position: 2, title: 'origin', allOf: [{ $ref: '#/definitions/Point' }] },
        layers: {
          ...{ position: 3, title: 'layers', type: 'array' },
          items: { allOf: [{ $ref: '#/definitions/Drawing' }] },
        },
      },
      required: ['name'],
    });
    expect(Object.keys(definitions!)).toEqual(['Segment', 'Point', 'Drawing']);
    expect(definitions).toMatchObject({
      Point: POINT,
      Segment: {
        properties: {
          from: { allOf: [{ $ref: '#/definitions/Point' }] },
          to: { allOf: [{ $ref: '#/definitions/Point' }], default: { x: 0, y: 2 } },
        },
        required: ['from'],
      },
      Drawing: { properties: { layers: { items: { allOf: [{ $ref: '#/definitions/Drawing' }] } } } },
    });
  });

  it('that takes several arguments has them by their position', () => {
    expect(schemaOfTypes([String, Number, Boolean, Date, Array, Object, Point, URL, undefined], null)).toEqual({
      title: 'Parameters',
      type: 'object',
      properties: {
        0: { position: 0, title: '0', type: 'string' },
        1: { position: 1, title: '1', type: 'number' },
        2: { position: 2, title: '2', type: 'boolean' },
        3: { position: 3, title: '3', type: 'string', format: 'date-time' },
        4: { position: 4, title: '4', type: 'array' },
        5: { position: 5, title: '5' },
        6: { position: 6, title: '6', allOf: [{ $ref: '#/definitions/Point' }] },
        7: { position: 7, title: '7', type: 'object' },
        8: { position: 8, title: '8' },
      },
      definitions: { Point: POINT },
    });
  });

  it('that takes nothing, or something of which nothing is known, has no properties', () => {
    expect(schemaOfTypes([], null)).toEqual({ title: 'Parameters', type: 'object', properties: {} });
  });

  it('tells classes of one name apart', () => {
    const other = (() => {
      class Point {
        @IsString()
        name!: string;
      }
      return Point;
    })();
    const { properties, definitions } = schemaOfTypes([Point, other], null);
    expect(properties[1]).toMatchObject({ allOf: [{ $ref: '#/definitions/Point2' }] });
    expect(definitions).toMatchObject({ Point: POINT, Point2: { title: 'Point', required: ['name'] } });
  });
});

describe('what is required, and what it is otherwise', () => {
  let drawn = 0;

  class Defaults {
    @IsString()
    required!: string;
    @IsDefined()
    defined!: unknown;
    @IsOptional()
    @IsString()
    optional?: string;
    @ValidateIf(() => true)
    @IsString()
    conditional?: string;
    @Allow()
    allowed?: string;
    @IsInt()
    number: number = 3;
    @IsBoolean()
    flag: boolean = false;
    @IsArray()
    list: (string | number)[] = ['a', 1];
    @IsEnum(Colour)
    colour: Colour = Colour.Blue;
    @IsDate()
    now: Date = new Date();
    @IsNumber()
    drawn: number = (drawn += 1);
    @IsNumber({ allowInfinity: true })
    endless: number = Infinity;
    @Allow()
    big: bigint = 12n;
    @Allow()
    map = new Map<string, string>();
    @Allow()
    nothing: string | null = null;
  }

  it('comes from the rules and the initialisers, where those are the same every time and JSON', () => {
    const { properties, required } = schemaOfTypes([], shapeOf(Defaults));
    expect(required).toEqual(['required', 'defined']);
    const defaults = Object.entries(properties).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value]],
    );
    expect(Object.fromEntries(defaults)).toEqual({ number: 3, flag: false, list: ['a', 1], colour: 'blue' });
  });

  class Constructed {
    @IsInt()
    size: number;
    constructor(given: { size: number }) {
      this.size = given.size;
    }
  }
  class Drawn {
    @IsDate()
    at: Date = currentScope()!.place.services.clock();
  }

  it.each([
    ['whose constructor asks for something', Constructed, ['size']],
    ['that can be made within a run alone', Drawn, ['at']],
  ])('comes from the rules alone for a class %s', (_, type, required) => {
    expect(schemaOfTypes([], shapeOf(type)).required).toEqual(required);
  });
});
