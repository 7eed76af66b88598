import { request } from 'node:http';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** `text`, parsed. */
  readonly body: any;
}

interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Asks the API over a socket of its own; unlike `fetch`, it lets a test choose the `Host` header. */
export function ask(url: string, { method = 'GET', headers = {}, body }: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const isJson = response.headers['content-type']?.includes('json') ?? false;
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          body: isJson ? JSON.parse(text) : undefined,
        });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** Every item of a list, following its cursors; and how many pages that took. */
export async function everyPage(url: string): Promise<{ readonly items: any[]; readonly pages: number }> {
  const items: any[] = [];
  let pages = 0;
  for (let next: string | null | undefined; next !== null; pages += 1) {
    const page = new URL(url);
    if (next) page.searchParams.set('cursor', next);
    const { body } = await ask(page.toString());
    items.push(...body.items);
    next = body.next;
  }
  return { items, pages };
}
