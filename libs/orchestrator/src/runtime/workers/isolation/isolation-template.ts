import type { BaseJobTemplate } from '@nestor/core';

/**
 * The job template of a pool whose runs are executed away from their worker: what it can be told,
 * besides `further` properties.
 */
export function isolationTemplate(further: Readonly<Record<string, object>>): BaseJobTemplate {
  const properties = {
    env: {
      type: 'object',
      title: 'Environment variables',
      description: 'Added to those of the worker; null takes one away.',
      additionalProperties: { type: ['string', 'null'] },
    },
    stream_output: {
      type: 'boolean',
      title: 'Stream output',
      description: 'Whether what it prints is kept in the log of the run, and printed by the worker.',
      default: true,
    },
    max_heap_mb: { type: 'integer', title: 'Largest heap', description: 'In megabytes.', minimum: 16 },
    ...further,
  };
  const job_configuration = Object.fromEntries(Object.keys(properties).map((name) => [name, `{{ ${name} }}`]));
  return { job_configuration, variables: { type: 'object', properties } };
}
