import type { BaseJobTemplate } from '@nestor/core';

/** The type of the pools whose runs are pushed to a URL. */
export const HTTP_PUSH_TYPE = 'http-push';

const properties = {
  url: {
    type: 'string',
    title: 'URL',
    description: 'Where the job is posted to: https, or http.',
  },
  cancel_url: {
    type: 'string',
    title: 'URL for cancelling',
    description: 'Where it is posted that the run is cancelled. Default: nowhere; the run hears of it by itself.',
  },
  headers: {
    type: 'object',
    title: 'Headers',
    description: 'Of the requests; {{ blocks.slug.name.field }} is a secret of a block.',
    additionalProperties: { type: 'string' },
    default: {},
  },
  timeout_seconds: {
    type: 'number',
    title: 'Timeout',
    description: 'Of one request.',
    default: 30,
    minimum: 0.1,
    maximum: 600,
  },
  attempts: {
    type: 'integer',
    title: 'Attempts',
    description: 'How often it is posted at most.',
    default: 5,
    minimum: 1,
    maximum: 20,
  },
  retry_delay_seconds: {
    type: 'number',
    title: 'Pause',
    description: 'Before the second attempt; each further one waits twice as long, at most a minute.',
    default: 1,
    minimum: 0,
    maximum: 60,
  },
  job: { type: 'object', title: 'Job', description: 'What the other side is told besides.', default: {} },
};

/** What is said of the request is under `request`; everything else is the job. */
export const PUSH_TEMPLATE: BaseJobTemplate = {
  job_configuration: {
    request: Object.fromEntries(
      Object.keys(properties)
        .filter((name) => name !== 'job')
        .map((name) => [name, `{{ ${name} }}`]),
    ),
    job: '{{ job }}',
  },
  variables: { type: 'object', properties, required: ['url'] },
};
