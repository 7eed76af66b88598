import { pushRequestOf, shownUrl } from './push-request.js';

const URL_TEXT = 'https://jobs.example.com/start?key=hidden';

describe('what a template says of a push', () => {
  it('is complete with a URL', () => {
    const request = pushRequestOf({ request: { url: URL_TEXT } });
    expect(request).toMatchObject({ cancelUrl: null, headers: {}, timeoutMs: 30_000, attempts: 5, delayMs: 1_000 });
    expect(shownUrl(request.url)).toBe('https://jobs.example.com/start');
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /has no "request"/],
    ['no URL', {}, /"url" is no URL/],
    ['a text that is none', { url: 'jobs' }, /"url" is no URL/],
    ['a file', { url: 'file:///etc/passwd' }, /"url" is no URL/],
    ['a password in the URL', { url: 'https://a:hunter2@b/' }, /put them into a header/],
    ['another URL that is none', { url: URL_TEXT, cancel_url: 'ftp://x' }, /"cancel_url" is no URL/],
    ['headers that are none', { url: URL_TEXT, headers: ['a'] }, /"headers" is no object/],
    ['a header of no name', { url: URL_TEXT, headers: { 'a b': 'hunter2' } }, /whose name is none/],
    ['a header that is not to be set', { url: URL_TEXT, headers: { Host: 'hunter2' } }, /"Host" is not to be set/],
    [
      'a header with a line break',
      { url: URL_TEXT, headers: { a: 'hunter2\r\nb: c' } },
      /"a" has a value that cannot be sent/,
    ],
    ['a header that is no text', { url: URL_TEXT, headers: { a: 1 } }, /"a" has a value that cannot be sent/],
    [
      'too many headers',
      { url: URL_TEXT, headers: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`h${i}`, 'x'])) },
      /more than 50/,
    ],
    ['too many attempts', { url: URL_TEXT, attempts: 21 }, /"attempts" is no number from 1 to 20/],
    ['no time', { url: URL_TEXT, timeout_seconds: 0 }, /"timeout_seconds" is no number/],
  ])('is refused with %s, without a word on what is secret', (_, request, problem) => {
    const read = (): unknown => pushRequestOf(request === undefined ? {} : { request });
    expect(read).toThrow(
      expect.objectContaining({ code: 'INVALID_PUSH_REQUEST', message: expect.stringMatching(problem) as string }),
    );
    expect(read).not.toThrow(/hunter2/);
  });
});
