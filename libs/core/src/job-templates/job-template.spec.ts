import {
  jobConfiguration,
  jobTemplateProblems,
  jobVariableProblems,
  jobVariables,
  type BaseJobTemplate,
} from './job-template.js';

const template: BaseJobTemplate = {
  job_configuration: {
    command: '{{ command }}',
    env: '{{ env }}',
    image: 'registry/{{ image }}:{{ tag }}',
    resources: { cpu: '{{ cpu }}', labels: ['fixed', '{{ label }}'] },
    '{{ key }}': 1,
  },
  variables: {
    type: 'object',
    properties: {
      command: { type: 'string' },
      env: { type: 'object', default: { A: '1', B: '1' } },
      image: { type: 'string', default: 'app' },
      tag: { type: 'string' },
      cpu: { type: 'number' },
      label: { type: 'string' },
      key: { type: 'string' },
      'with.dot': { type: 'string' },
    },
    required: ['tag'],
  },
};

describe('the variables of a job', () => {
  it('are those of the template, then of the deployment, then of the run [W06]', () => {
    expect(jobVariables(template, { image: 'deployed', tag: '1' }, { tag: '2' })).toEqual({
      env: { A: '1', B: '1' },
      image: 'deployed',
      tag: '2',
    });
  });

  it('have one environment, merged entry by entry [W06]', () => {
    const { env } = jobVariables(template, { env: { B: '2', C: '2' } }, { env: { C: '3' } });
    expect(env).toEqual({ A: '1', B: '2', C: '3' });
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['within nothing', { 'a.b': 1 }, { a: { b: 1 } }],
    ['within what is there', { a: { c: 2 }, 'a.b': 1 }, { a: { c: 2, b: 1 } }],
    ['within what is no object', { a: 'text', 'a.b': 1 }, { a: { b: 1 } }],
    ['deep within', { 'a.b.c': 1, 'a.b.d': 2 }, { a: { b: { c: 1, d: 2 } } }],
    ['as they are, where the template has one of that name', { 'with.dot': 'x' }, { 'with.dot': 'x' }],
  ])('set values by keys with dots %s [W06]', (_, given, expected) => {
    expect(jobVariables({ variables: { properties: { 'with.dot': {} } } }, given)).toEqual(expected);
  });

  it('set an entry of the environment by its place', () => {
    expect(jobVariables(template, { 'env.A': '9' }).env).toEqual({ A: '9', B: '1' });
  });

  it('touch no prototype', () => {
    const merged = jobVariables(
      {},
      JSON.parse('{"__proto__.polluted": true, "a.__proto__.polluted": true}') as object as never,
    );
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(Object.keys(merged)).toEqual(['__proto__', 'a']);
  });

  it('take what nobody says from the layers that say something', () => {
    expect(jobVariables({}, null, { a: 1, b: undefined }, null)).toEqual({ a: 1 });
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['of the wrong type', { tag: 1 }, ['tag: must be a text']],
    ['of the wrong type within', { tag: '1', cpu: 'two' }, ['cpu: must be a number']],
    ['that are absent', {}, ['tag: must be given']],
    ['that are right', { tag: '1', cpu: 2 }, []],
  ])('are told apart from those %s [D04]', (_, given, expected) => {
    expect(jobVariableProblems(template, given).map(({ path, problem }) => `${path}: ${problem}`)).toEqual(expected);
  });

  it('may lack what is asked for, as long as somebody may add it', () => {
    expect(jobVariableProblems(template, {}, { lacking: true })).toEqual([]);
  });
});

describe('the configuration of a job', () => {
  it('has variables in the place of its placeholders, of their own types, and not those that nobody knows', () => {
    expect(jobConfiguration(template, { env: { A: '1' }, image: 'app', tag: 3, cpu: 0.5, key: 'named' })).toEqual({
      env: { A: '1' },
      image: 'registry/app:3',
      resources: { cpu: 0.5, labels: ['fixed'] },
      named: 1,
    });
  });

  it('is not looked through for placeholders again', () => {
    expect(jobConfiguration({ job_configuration: { a: '{{ b }}' } }, { b: '{{ c }}', c: 1 })).toEqual({ a: '{{ c }}' });
  });

  it('leaves alone what is no variable of the job', () => {
    const configuration = { a: '{{ prefect.blocks.secret.key }}', b: '{{ $HOME }}' };
    expect(jobConfiguration({ job_configuration: configuration }, {})).toEqual(configuration);
  });
});

describe('a template', () => {
  it.each<[string, unknown, string[]]>([
    ['the example', template, []],
    ['nothing', {}, []],
    ['a text', 'text', ['it must be an object']],
    ['a configuration that is a list', { job_configuration: [] }, ['job_configuration must be an object']],
    ['variables that are a list', { variables: [] }, ['variables must be an object: the JSON schema of the variables']],
    ['properties that are a list', { variables: { properties: [] } }, ['variables.properties must be an object']],
    [
      'a placeholder without a variable',
      { job_configuration: { a: ['{{ b }}'] } },
      ['job_configuration refers to "b", which is none of variables.properties'],
    ],
  ])('%s: %j has the problems %j', (_, given, expected) => {
    expect(jobTemplateProblems(given)).toEqual(expected);
  });
});
