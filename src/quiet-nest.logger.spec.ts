import { QuietNestLogger } from './quiet-nest.logger.js';

let out: jest.SpyInstance;
let err: jest.SpyInstance;
beforeEach(() => {
  out = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
  err = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => jest.restoreAllMocks());

const printed = (stream: jest.SpyInstance): string => stream.mock.calls.map(([text]) => String(text)).join('');

describe('the logger of the bundled orchestrator', () => {
  const all = () => new QuietNestLogger(['log', 'warn', 'error', 'fatal']);

  it.each(['NestFactory', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestApplication'])(
    'leaves out what %s says about its work, but not its warnings',
    (context) => {
      all().log('AppModule dependencies initialized', context);
      expect(printed(out)).toBe('');
      all().warn('something is odd', context);
      expect(printed(out)).toContain('something is odd');
    },
  );

  it.each(['NestApplication', 'ExceptionHandler'])('leaves out errors of %s, which are thrown as well', (context) => {
    all().error(new Error('listen EADDRINUSE'), context);
    all().error('listen EADDRINUSE', 'the stack', context);
    expect(printed(err)).toBe('');
  });

  it('prints everything else, whatever it is about', () => {
    all().log('creating a cluster', 'Database');
    all().log('NestFactory');
    all().warn('slow', 'Database');
    all().error('it broke', 'at there', 'ErrorFilter');
    expect(printed(out)).toMatch(/creating a cluster[^]*NestFactory[^]*slow/);
    expect(printed(err)).toMatch(/it broke[^]*at there/);
  });

  it('prints only the levels it was given, and nothing of the contexts to be left out', () => {
    const logger = new QuietNestLogger(['warn', 'error'], ['Run']);
    logger.log('a line', 'Database');
    logger.error('a run failed', 'Run');
    logger.warn('a run was slow', 'Run');
    expect(printed(out) + printed(err)).toBe('');
    logger.error('no database', 'Database');
    expect(printed(err)).toContain('no database');
  });
});
