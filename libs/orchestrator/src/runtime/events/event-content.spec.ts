import { instantOfMicros } from '@nestor/core';
import { allRelated, checkEvent, labelsOf, occurredAt, type EmittedEvent } from './event-content.js';

const ORDER = { id: 'shop.order.1', name: 'Order 1', labels: { 'shop.customer': '17' } };
const problemOf = (over: object): unknown => {
  const event = { event: 'shop.order.paid', resource: ORDER, ...over } as EmittedEvent;
  const related = (event.related ?? []).map((one) => labelsOf(one, one.role));
  try {
    checkEvent(event, labelsOf(event.resource), related);
    return null;
  } catch (error) {
    return (error as { problem?: string }).problem;
  }
};
const related = (count: number) => Array.from({ length: count }, (_, index) => ({ id: `r.${index}`, role: 'part' }));
const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`l${index}`, 'x']));

describe('an event', () => {
  it('names its resources by labels', () => {
    expect(labelsOf(ORDER)).toEqual({
      'prefect.resource.id': 'shop.order.1',
      'prefect.resource.name': 'Order 1',
      'shop.customer': '17',
    });
    expect(labelsOf({ id: 'a' }, 'part')).toEqual({ 'prefect.resource.id': 'a', 'prefect.resource.role': 'part' });
    expect(labelsOf({ id: 'a', labels: { 'prefect.resource.id': 'b' } })).toEqual({ 'prefect.resource.id': 'a' });
  });

  it('is related to the run once, and not to itself', () => {
    const [order, run, tag] = [labelsOf(ORDER), labelsOf({ id: 'run' }, 'flow-run'), labelsOf({ id: 'tag' }, 'tag')];
    expect(allRelated(order, [tag], [run, tag])).toEqual([tag, run]);
    expect(allRelated(run, [], [run, tag])).toEqual([tag]);
  });

  it.each<[string, object]>([
    ['the least', {}],
    ['a name of 1024 characters', { event: 'x'.repeat(1_024) }],
    ['100 related resources', { related: related(100) }],
    ['500 labels', { resource: { id: 'a', labels: labels(499) } }],
    [
      'an id and what it follows',
      { id: '0199c3d2-5b7e-7000-8000-000000000000', follows: '0199c3d2-5b7e-7000-8000-000000000001' },
    ],
    ['nearly 1.5 MB', { payload: { text: 'x'.repeat(1_499_700) } }],
  ])('may have %s', (_, over) => {
    expect(problemOf(over)).toBeNull();
  });

  it.each<[string, object, RegExp]>([
    ['no name', { event: ' ' }, /^it has no name/],
    ['a name that is no text', { event: 1 }, /^it has no name/],
    ['a longer name', { event: 'x'.repeat(1_025) }, /1025 characters, more than 1024/],
    ['a resource without id', { resource: { id: '' } }, /^its resource has no id/],
    ['a resource whose id is no text', { resource: { id: 1 } }, /"prefect.resource.id" of its resource is no text/],
    ['a label that is no text', { resource: { id: 'a', labels: { n: 1 } } }, /^label "n" of its resource is no text/],
    ['501 labels', { resource: { id: 'a', labels: labels(500) } }, /501 labels, more than 500/],
    ['101 related resources', { related: related(101) }, /101 related resources, more than 100/],
    ['a related resource without role', { related: [{ id: 'a', role: '' }] }, /^a related resource has no role/],
    ['a related resource without id', { related: [{ id: '', role: 'part' }] }, /^related resource 1 has no id/],
    ['an id that is none', { id: '4711' }, /"4711" is no UUID/],
    ['something to follow that is no id', { follows: 'x' }, /"x", is no UUID/],
    ['a payload that is no object', { payload: [1] }, /^its payload is no object/],
    ['a payload that JSON has no word for', { payload: { n: 1n } }, /^its payload cannot be written as JSON/],
    ['more than 1.5 MB', { payload: { text: 'é'.repeat(750_000) } }, /bytes as JSON, more than 1500000/],
  ])('may not have %s', (_, over, problem) => {
    expect(problemOf(over)).toMatch(problem);
  });

  it('happened when it says, to the microsecond', () => {
    const event = { event: 'a', resource: ORDER };
    expect(occurredAt(event)).toBeNull();
    expect(occurredAt({ ...event, occurred: new Date(1) })).toBe(1_000);
    expect(occurredAt({ ...event, occurred: instantOfMicros(1_234_567) })).toBe(1_234_567);
    expect(() => occurredAt({ ...event, occurred: new Date(NaN) })).toThrow(/the time at which it occurred is none/);
    const text = '2026-01-01' as unknown as Date;
    expect(() => occurredAt({ ...event, occurred: text })).toThrow(/the time at which it occurred is none/);
  });
});
