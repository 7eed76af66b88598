import { Logger } from '@nestjs/common';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../support/database.js';
import { printedBy } from './support/run-snippet.js';
import { allSnippets, snippetsOf } from './support/snippets.js';
import { typeErrors } from './support/type-check.js';

const SNIPPETS = allSnippets();

describe('the snippets of the documentation', () => {
  it('compile', () => {
    expect(typeErrors(SNIPPETS)).toEqual([]);
  });

  describe('that are programs', () => {
    let database: TestDatabase;
    beforeEach(async () => {
      Logger.overrideLogger(false);
      database = await testDatabase();
    });
    afterEach(() => database.drop());

    const programs = SNIPPETS.filter(({ runs }) => runs);
    it.each(programs.map((snippet) => [`${snippet.page}:${snippet.line}`, snippet] as const))(
      'print what the page shows: %s',
      async (_, snippet) => {
        const printed = await printedBy(snippet, SNIPPETS, { DATABASE_URL: database.url });
        if (snippet.output !== null) expect(printed).toMatch(patternOf(snippet.output));
      },
    );
  });

  it('are told where they are wrong', () => {
    const wrong = {
      'a name that is not there': '```ts\nawait flows.begin();\n```',
      'behind an import': "```ts\nimport { mapTasks } from 'nestor';\n\nawait mapTasks(1, async () => 1);\n```",
      'among members': '```ts\n@Task()\nasync one(): Promise<number> {\n  return "1";\n}\n```',
      'left out': '```ts\nclass One {\n  @Task()\n  async one(): Promise<number> { … }\n}\n```',
      given: '<!-- given\ndeclare const flows: Flows;\n-->\n```ts\nflows.with({});\n```',
    };
    const snippets = Object.entries(wrong).flatMap(([page, markdown]) => snippetsOf(page, markdown));
    expect(typeErrors(snippets)).toEqual([
      expect.stringMatching(/^a name that is not there:2: .*'flows'/),
      expect.stringMatching(/^behind an import:4: /),
      expect.stringMatching(/^among members:4: /),
    ]);
  });
});

/** `…` is any text within a line. */
function patternOf(output: string): RegExp {
  const escaped = output.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*');
  return new RegExp(`^${escaped}$`);
}
