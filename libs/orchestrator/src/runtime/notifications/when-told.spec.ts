import type { LeaseListener } from '../leases/process-lease.service.js';
import { whenTold, whenToldOf } from './when-told.js';

describe('a process that listens', () => {
  let heard: string[];
  const wake = (): void => void heard.push('woken');
  const hear = (name: string): void => void heard.push(name);
  beforeEach(() => (heard = []));

  const toDue = (): LeaseListener => whenTold('due', wake);
  const toSomeDue = (): LeaseListener => whenToldOf('due', hear, wake);
  const toSlots = (): LeaseListener => whenToldOf('slot', hear, wake);

  it.each<[string, () => LeaseListener, string, string[]]>([
    ['to a topic is woken by it', toDue, 'due', ['woken']],
    ['to a topic is woken by it among others', toDue, 'hooks due limits', ['woken']],
    ['to a topic is not woken by others', toDue, 'hooks', []],
    ['to a topic is not woken where one thing is named', toDue, 'due:1', []],
    ['for names hears them', toSomeDue, 'due:1 due:2', ['1', '2']],
    ['for names hears of one whole', toSlots, 'slot:a:b', ['a:b']],
    ['for names hears none of other topics', toSlots, 'run:1 due slots:2 s', []],
    ['for names is woken where none is named', toSomeDue, 'due:1 due due:2', ['1', 'woken', '2']],
  ])('%s', (_, listener, payload, expected) => {
    listener().notified!(payload);
    expect(heard).toEqual(expected);
  });

  it.each<[string, () => LeaseListener]>([
    ['to a topic', toDue],
    ['for names', toSomeDue],
  ])('%s is woken where it may have missed something', (_, listener) => {
    listener().notified!(null);
    listener().rejoined!();
    expect(heard).toEqual(['woken', 'woken']);
  });
});
