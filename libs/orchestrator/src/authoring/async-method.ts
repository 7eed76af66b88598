/**
 * A method that may be decorated: it returns a promise. Anything else does not compile, because a run cannot be recorded
 * without waiting.
 */
export type AsyncMethod = (...args: never[]) => Promise<unknown>;

/**
 * What a decorator of an instance method is given. A static method, whose class is given instead of a prototype, does not
 * compile: there is no instance to inject anything into.
 */
export type Prototype<T extends object> = T extends abstract new (...args: never[]) => unknown ? never : T;

/** What a method is checked against besides: that the placeholders of the run name are parameters of it. */
export type Fits<M extends AsyncMethod, Template extends string> = string extends Template
  ? unknown
  : Exclude<Placeholder<Template>, ParameterName<M>> extends never
    ? unknown
    : { 'The run name has a placeholder that is no parameter': Exclude<Placeholder<Template>, ParameterName<M>> };

/** The parameters that a template names: `{order.id}` names `order`. */
type Placeholder<Template extends string> = Template extends `${string}{{${infer Rest}`
  ? Placeholder<Rest>
  : Template extends `${string}{${infer Path}}${infer Rest}`
    ? (Path extends `${infer Name}.${string}` ? Name : Path) | Placeholder<Rest>
    : never;

/** How the parameters of a run are named: the fields of the one object it takes, else their positions. */
type ParameterName<M extends AsyncMethod> =
  Parameters<M> extends [infer Only, ...unknown[]]
    ? (Only extends object ? keyof Only & string : never) | `${number}`
    : `${number}`;
