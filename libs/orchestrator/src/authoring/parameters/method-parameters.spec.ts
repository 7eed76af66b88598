import 'reflect-metadata';
import { Exclude, Expose, Transform, Type } from 'class-transformer';
import {
  Allow,
  IsArray,
  IsBoolean,
  IsDate,
  IsEnum,
  IsInstance,
  IsInt,
  IsNumber,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  Min,
  registerDecorator,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { InvalidParametersError } from '../../runtime/parameters/invalid-parameters.error.js';
import type { ParameterProblem } from '../../runtime/parameters/parameter-problem.js';
import { parametersOfMethod } from './method-parameters.js';

/** Any decorator makes the compiler record the types of a method. */
const Typed = (): MethodDecorator => () => undefined;

/** A rule that has to be waited for. */
const IsFree =
  (): PropertyDecorator =>
  (target, property): void =>
    registerDecorator({
      name: 'isFree',
      target: target.constructor,
      propertyName: String(property),
      async: true,
      options: { message: '$property is taken' },
      validator: { validate: async (value) => value !== 'taken' },
    });

enum Colour {
  Red = 'red',
  Blue = 'blue',
}
enum Level {
  Low = 1,
  High = 2,
}

class Money {
  #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  get cents(): number {
    return this.#cents;
  }
}

/** Made by a codec, with what its constructor is given. */
class Issuer {
  @IsString()
  readonly name: string;

  readonly taxNumber: number;

  constructor(name: string, { taxNumber }: { taxNumber: number }) {
    this.name = name;
    this.taxNumber = taxNumber;
  }
}

class Item {
  @IsString()
  @MaxLength(5)
  sku!: string;

  @IsInt()
  @Min(1)
  amount: number = 1;
}

class Address {
  @IsString()
  city!: string;
}

class Order {
  @IsInt()
  id!: number;

  @ValidateNested({ each: true })
  @Type(() => Item)
  @IsArray()
  items!: Item[];

  @IsOptional()
  @ValidateNested()
  address?: Address;

  @IsOptional()
  @IsBoolean()
  urgent?: boolean;

  @IsOptional()
  @IsDate()
  due?: Date;

  @IsOptional()
  @IsInt({ each: true })
  sizes?: number[];

  @IsOptional()
  @IsString({ each: true })
  tags?: string[];

  @IsEnum(Colour)
  colour: Colour = Colour.Red;

  @IsEnum(Level)
  level: Level = Level.Low;

  @IsOptional()
  @IsInstance(Money)
  price?: Money;

  @Allow()
  anything?: unknown;

  /** Without a decorator. */
  readonly kind = 'order';

  get isLarge(): boolean {
    return this.items.length > 2;
  }
}

class Tree {
  @IsString()
  name!: string;

  @ValidateNested({ each: true })
  @Type(() => Tree)
  branches: Tree[] = [];
}

class Invoice {
  @IsOptional()
  @ValidateNested()
  issuer?: Issuer;

  @IsOptional()
  @IsString({ each: true })
  tags?: string | string[];

  @IsOptional()
  @IsString({ each: true })
  marks?: Set<string>;
}

class Signup {
  @IsFree()
  name!: string;

  @Matches(/^\S{8,}$/, { message: 'the password is too weak' })
  password!: string;

  @ValidateIf(({ name }: Signup) => name === 'admin')
  @IsInt()
  pin?: number;
}

class Renamed {
  @Expose({ name: 'first_name' })
  @IsString()
  firstName!: string;

  @Transform(({ value }) => (value as string).split(','))
  @IsString({ each: true })
  words!: string[];

  @Exclude()
  @IsOptional()
  @IsString()
  secret?: string;
}

abstract class Figure {
  @IsString()
  name: string = 'unnamed';
}
class Circle extends Figure {
  @IsNumber()
  radius!: number;
}
class Square extends Figure {
  @IsNumber()
  side!: number;
}

class Drawing {
  @ValidateNested()
  @Type(() => Figure, {
    discriminator: {
      property: 'kind',
      subTypes: [
        { name: 'circle', value: Circle },
        { name: 'square', value: Square },
      ],
    },
  })
  figure!: Figure;
}

class Untyped {
  @ValidateNested({ each: true })
  items!: Item[];
}

class Limits {
  @IsOptional()
  @IsNumber()
  from?: number;

  @IsOptional()
  @IsNumber()
  to: number = 10;
}

class UrgentOrder extends Order {
  @IsString()
  reason!: string;
}

class Plain {
  lockFile!: string;
}

interface Shape {
  readonly size: number;
}

class Flows {
  @Typed()
  async order(_order: Order): Promise<void> {}

  @Typed()
  async urgentOrder(_order: UrgentOrder): Promise<void> {}

  @Typed()
  async tree(_tree: Tree): Promise<void> {}

  @Typed()
  async invoice(_invoice: Invoice): Promise<void> {}

  @Typed()
  async signup(_signup: Signup): Promise<void> {}

  @Typed()
  async renamed(_renamed: Renamed): Promise<void> {}

  @Typed()
  async drawing(_drawing: Drawing): Promise<void> {}

  @Typed()
  async untyped(_untyped: Untyped): Promise<void> {}

  @Typed()
  async limits(_limits: Limits): Promise<void> {}

  @Typed()
  async limitsByDefault(_limits: Limits = new Limits()): Promise<void> {}

  @Typed()
  async plain(_plain: Plain): Promise<void> {}

  @Typed()
  async shape(_shape: Shape): Promise<void> {}

  @Typed()
  async several(_name: string, _count: number, _isUrgent: boolean, _due: Date, _item?: Item): Promise<void> {}

  @Typed()
  async add(_a: number, _b: number): Promise<void> {}

  @Typed()
  async union(_a: number | string, _b: Shape | null): Promise<void> {}

  @Typed()
  async rest(_a: number, ..._more: string[]): Promise<void> {}

  undecorated(_a: number): void {}
}

type Method = keyof Flows;

const parametersOf = (methodName: Method, isValidated = true): ReturnType<typeof parametersOfMethod> => {
  const prototype = Flows.prototype;
  return parametersOfMethod({
    ...{ flowName: methodName, prototype, methodName, isValidated },
    length: prototype[methodName].length,
  });
};
const validated = async (methodName: Method, ...args: unknown[]): Promise<readonly unknown[]> => {
  const { validated: validate } = parametersOf(methodName);
  return validate ? validate(args) : args;
};
const problemsOf = async (methodName: Method, ...args: unknown[]): Promise<readonly ParameterProblem[]> => {
  const error: unknown = await validated(methodName, ...args).catch((thrown: unknown) => thrown);
  if (!(error instanceof InvalidParametersError)) throw new Error(`It is ${String(error)}.`);
  expect(error.flowName).toBe(methodName);
  return error.problems;
};
const pathsOf = async (methodName: Method, ...args: unknown[]): Promise<string[]> =>
  (await problemsOf(methodName, ...args)).map(({ path }) => path).sort();

const ORDER = { id: 1, items: [{ sku: 'a' }] };

describe('an object that is right', () => {
  it('arrives as an instance, with what is within it, and with what is left out', async () => {
    const [order] = (await validated('order', { ...ORDER, address: { city: 'Bonn' } })) as [Order];
    expect(order).toBeInstanceOf(Order);
    expect(order.items[0]).toBeInstanceOf(Item);
    expect(order.address).toBeInstanceOf(Address);
    expect(order).toMatchObject({ id: 1, items: [{ sku: 'a', amount: 1 }], colour: 'red', level: 1, kind: 'order' });
    expect(order.isLarge).toBe(false);
  });

  it('is converted where it can be taken for what it should be [F06]', async () => {
    const given = {
      id: '5',
      items: [{ sku: 7, amount: '2' }],
      urgent: 'false',
      due: '2026-11-25',
      sizes: ['1', 2],
      tags: [3],
      level: '2',
    };
    const [order] = (await validated('order', given)) as [Order];
    expect(order).toMatchObject({
      id: 5,
      items: [{ sku: '7', amount: 2 }],
      urgent: false,
      due: new Date('2026-11-25'),
      sizes: [1, 2],
      tags: ['3'],
      level: 2,
    });
  });

  it('may be an instance that was recorded as its fields, those without a decorator among them', async () => {
    const instance = Object.assign(new Order(), ORDER);
    const [order] = await validated('order', { ...instance });
    expect(order).toEqual(expect.objectContaining({ id: 1, kind: 'order' }));
  });

  it('takes what its class inherits', async () => {
    const [order] = await validated('urgentOrder', { ...ORDER, id: '2', reason: 'rain' });
    expect(order).toBeInstanceOf(UrgentOrder);
    expect(order).toMatchObject({ id: 2, reason: 'rain' });
    expect(await pathsOf('urgentOrder', { ...ORDER, id: 'x' })).toEqual(['id', 'reason']);
  });

  it('may be made of itself', async () => {
    const [tree] = (await validated('tree', { name: 'a', branches: [{ name: 'b', branches: [{ name: 3 }] }] })) as [
      Tree,
    ];
    expect(tree.branches[0]!.branches[0]).toBeInstanceOf(Tree);
    expect(tree.branches[0]!.branches[0]!.name).toBe('3');
  });

  it('is converted as class-transformer is told to', async () => {
    const [renamed] = await validated('renamed', { first_name: 'Ada', words: 'a,b', secret: 'x' });
    expect(renamed).toMatchObject({ firstName: 'Ada', words: ['a', 'b'] });
    expect(renamed).not.toHaveProperty('secret');
  });

  it('holds one of several classes, as the data say', async () => {
    const [drawing] = (await validated('drawing', { figure: { kind: 'square', side: '2' } })) as [Drawing];
    expect(drawing.figure).toBeInstanceOf(Square);
    expect(drawing.figure).toMatchObject({ name: 'unnamed', side: 2 });
    expect(await pathsOf('drawing', { figure: { kind: 'circle', side: 2 } })).toEqual(['figure.radius', 'figure.side']);
    expect(parametersOf('drawing').schema.properties).toEqual({ figure: { position: 0, title: 'figure' } });
  });

  it('keeps values whole that class-transformer would damage', async () => {
    const anything = (): object => ({
      url: new URL('https://example.org/a'),
      list: [new Map([['a', new Set([1])]]), /x/g, new Uint8Array([1, 2]), Buffer.from('abc'), 12n],
      at: new Date(5),
    });
    const price = new Money(1_200);
    const [order] = (await validated('order', { ...ORDER, price, anything: anything() })) as [Order];
    expect(order.price).toBe(price);
    expect(order.price!.cents).toBe(1_200);
    expect(order.anything).toEqual(anything());
  });

  it('is left as it is where a codec has made the instance', async () => {
    const instance = Object.assign(new Order(), ORDER, { items: [] });
    expect((await validated('order', instance))[0]).toBe(instance);
    expect(await pathsOf('order', Object.assign(new Order(), { id: 'x', items: [] }))).toEqual(['id']);
  });

  it('holds instances that a codec has made, as they are, and checked', async () => {
    const issuer = new Issuer('Ada', { taxNumber: 7 });
    expect((await validated('invoice', { issuer }))[0]).toMatchObject({ issuer });
    expect(await pathsOf('invoice', { issuer: new Issuer(5 as unknown as string, { taxNumber: 7 }) })).toEqual([
      'issuer.name',
    ]);
  });

  it('holds one text or several where its type allows both, and sets where it asks for one', async () => {
    expect((await validated('invoice', { tags: 'a' }))[0]).toMatchObject({ tags: 'a' });
    expect((await validated('invoice', { tags: ['a', 5] }))[0]).toMatchObject({ tags: ['a', '5'] });
    expect((await validated('invoice', { marks: new Set(['a']) }))[0]).toMatchObject({ marks: new Set(['a']) });
  });

  it('is made of nothing where everything in it may be left out', async () => {
    const [none] = await validated('limits');
    expect(none).toBeInstanceOf(Limits);
    expect(none).toMatchObject({ to: 10 });
    expect((await validated('limits', { to: undefined }))[0]).toMatchObject({ to: 10 });
    expect(await validated('limits', null)).toEqual([null]);
  });

  it('is left to the method where that says what is taken instead', async () => {
    expect(await validated('limitsByDefault')).toEqual([]);
    expect((await validated('limitsByDefault', { to: '3' }))[0]).toMatchObject({ to: 3 });
  });
});

describe('an object that is wrong is refused, with the path of', () => {
  it.each<[string, Method, unknown[], string[]]>([
    ['a field of the wrong type', 'order', [{ ...ORDER, id: 'abc' }], ['id']],
    ['a field that is missing', 'order', [{ items: [] }], ['id']],
    ['all that is missing, when nothing is given', 'order', [], ['id', 'items']],
    ['an object that is something else', 'order', ['abc'], ['0']],
    ['an object that is a list', 'order', [[ORDER]], ['0']],
    ['an object of another class', 'order', [new Map()], ['0']],
    [
      'a field in an element of a list',
      'order',
      [{ id: 1, items: [{ sku: 'a' }, { sku: 'toolong' }] }],
      ['items[1].sku'],
    ],
    ['an element that is no object', 'order', [{ id: 1, items: [5] }], ['items[0]']],
    ['a list that is none', 'order', [{ id: 1, items: { sku: 'a' } }], ['items']],
    ['a list of texts that is a text', 'order', [{ ...ORDER, tags: 'a' }], ['tags']],
    ['a number among others that is none', 'order', [{ ...ORDER, sizes: [1, 'x'] }], ['sizes', 'sizes[1]']],
    ['a field of an object in it', 'order', [{ ...ORDER, address: {} }], ['address.city']],
    ['an object in it that is none', 'order', [{ ...ORDER, address: 'Bonn' }], ['address']],
    ['an object for a text', 'order', [{ ...ORDER, address: { city: {} } }], ['address.city']],
    ['a word for a truth value', 'order', [{ ...ORDER, urgent: 'perhaps' }], ['urgent']],
    ['no date', 'order', [{ ...ORDER, due: 'soon' }], ['due']],
    ['a value that is not in an enumeration', 'order', [{ ...ORDER, colour: 'green' }], ['colour']],
    ['the name of a number in an enumeration', 'order', [{ ...ORDER, level: 'High' }], ['level']],
    ['a field that nobody asked for', 'order', [{ ...ORDER, itmes: [] }], ['itmes']],
    ['such a field deeper down', 'order', [{ id: 1, items: [{ sku: 'a', colour: 1 }] }], ['items[0].colour']],
    ['everything at once', 'order', [{ id: [], items: [{}], urgent: 'x' }], ['id', 'items[0].sku', 'urgent']],
    [
      'deep recursion',
      'tree',
      [{ name: 'a', branches: [{ name: 'b', branches: [{}] }] }],
      ['branches[0].branches[0].name'],
    ],
    ['a rule that has to be waited for', 'signup', [{ name: 'taken', password: 'long-enough' }], ['name']],
    ['a rule under a condition', 'signup', [{ name: 'admin', password: '12345678' }], ['pin']],
    ['parts of a class that nobody named', 'untyped', [{ items: [{ sku: 'a' }] }], ['items[0]']],
  ])('%s', async (_, method, args, paths) => {
    expect(await pathsOf(method, ...args)).toEqual(paths);
  });

  it('and with what is asked of it, in the words of the rule or in ours', async () => {
    expect(await problemsOf('order', { id: 'abc', items: [{ sku: 'a', amount: 0 }], tags: 'x', itmes: 1 })).toEqual(
      expect.arrayContaining([
        { path: 'id', problem: 'must be an integer number' },
        { path: 'items[0].amount', problem: 'must not be less than 1' },
        { path: 'tags', problem: 'must be a list and is a text' },
        { path: 'itmes', problem: expect.stringMatching(/^is not known to Order, which takes id, items, address, /) },
      ]),
    );
    expect(await problemsOf('signup', { name: 'Ada', password: 'hunter2' })).toEqual([
      { path: 'password', problem: 'the password is too weak' },
    ]);
    expect(await problemsOf('untyped', { items: [{ sku: 'a' }] })).toEqual([
      { path: 'items[0]', problem: expect.stringContaining('@Type(() => …)') },
    ]);
  });

  it('and never with the value itself', async () => {
    const secret = 'hunter2hunter2';
    const args = {
      id: secret,
      items: secret,
      address: secret,
      urgent: secret,
      due: secret,
      sizes: [secret],
      colour: secret,
    };
    expect(JSON.stringify(await problemsOf('order', args))).not.toContain('hunter2');
  });
});

describe('arguments', () => {
  it('are converted by the types of the method', async () => {
    expect(await validated('several', 7, '5', 'true', '2026-11-25')).toEqual(['7', 5, true, new Date('2026-11-25')]);
    const [, , , , item] = await validated('several', 'a', 1, true, new Date(0), { sku: 'a', amount: '3' });
    expect(item).toBeInstanceOf(Item);
    expect(item).toMatchObject({ amount: 3 });
  });

  it('of primitive types alone are converted at once', () => {
    expect(parametersOf('add').validated!(['1', 2])).toEqual([1, 2]);
    expect(() => parametersOf('add').validated!(['x', 2])).toThrow(InvalidParametersError);
  });

  it('that are wrong are named by their position', async () => {
    expect(await problemsOf('add', 'abc', { b: 1 })).toEqual([
      { path: '0', problem: 'must be a number and is a text' },
      { path: '1', problem: 'must be a number and is an object' },
    ]);
    expect(await pathsOf('several', 'a', 1, 'x', 'y', { amount: 0 })).toEqual(['2', '3', '4.amount', '4.sku']);
    expect(await pathsOf('several', 'a', 1, true, 0, 'item')).toEqual(['4']);
  });

  it('may be left out, or null: the types do not tell whether they may', async () => {
    expect(await validated('several', 'a', undefined, null)).toEqual(['a', undefined, null]);
    expect(await validated('add')).toEqual([]);
  });

  it('pass through where the type says nothing', async () => {
    const args = [{ size: 'large' }, null];
    expect(await validated('union', ...args)).toEqual(args);
    expect(parametersOf('union').validated).toBeNull();
  });

  it('beyond those that are named are left alone', async () => {
    expect(await validated('rest', '1', 'a', 'b')).toEqual([1, 'a', 'b']);
    expect(await validated('add', 1, 2, {})).toEqual([1, 2, {}]);
  });
});

describe('nothing is checked', () => {
  it.each<[string, Method]>([
    ['of a class without rules', 'plain'],
    ['of an interface', 'shape'],
    ['of a method whose types are not recorded', 'undecorated'],
  ])('%s', (_, method) => {
    expect(parametersOf(method).validated).toBeNull();
  });

  it('where that is not wanted', () => {
    expect(parametersOf('order', false).validated).toBeNull();
    expect(parametersOf('order', false).schema.properties).toHaveProperty('id');
  });
});

describe('a host without class-validator', () => {
  afterEach(() => {
    jest.dontMock('class-validator');
    jest.resetModules();
  });

  it('gets its parameters as they are, and primitives converted', async () => {
    jest.resetModules();
    jest.doMock('class-validator', () => {
      throw Object.assign(new Error(`Cannot find module 'class-validator' from 'here'`), { code: 'MODULE_NOT_FOUND' });
    });
    const fresh = jest.requireActual<{ parametersOfMethod: typeof parametersOfMethod }>('./method-parameters.js');
    const common = { flowName: 'x', prototype: Flows.prototype, isValidated: true };
    const order = fresh.parametersOfMethod({ ...common, methodName: 'order', length: 1 });
    expect(order.validated).toBeNull();
    expect(order.schema).toEqual({ title: 'Parameters', type: 'object', properties: {} });
    const add = fresh.parametersOfMethod({ ...common, methodName: 'add', length: 2 });
    expect(add.validated!(['1', 2])).toEqual([1, 2]);
  });
});
