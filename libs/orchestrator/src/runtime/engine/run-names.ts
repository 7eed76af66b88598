// Two words are easier to say and to remember than an id; 64 × 64 of them rarely collide among the runs of a day.
const ADJECTIVES =
  'able amber ample bold brave brisk calm civil clear clever cosy crisp deft eager early fair fleet fond frank fresh gentle glad golden grand happy hardy honest ideal jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble open patient placid plain polite proud quick quiet rapid ready robust serene sharp silent smooth solid spry steady sunny swift tidy vivid warm wise'.split(
    ' ',
  );
const ANIMALS =
  'adder badger bat bear beaver bison boar buzzard carp cat chamois condor crane crow deer dolphin dove duck eagle egret elk falcon ferret finch fox gannet gecko goose hare hawk heron ibex ibis jackdaw jay kestrel kite lark linnet lynx magpie marten mole moose moth newt otter owl perch pike plover puffin quail raven robin salmon seal shrew sparrow squid stoat stork swan tern toad trout viper wren'.split(
    ' ',
  );

/** A name for a flow run that was given none: the same for the same id. */
export function nameOfRun(id: string): string {
  const bits = parseInt(id.slice(-8), 16);
  return `${pick(ADJECTIVES, bits)}-${pick(ANIMALS, bits >>> 12)}`;
}

function pick(words: readonly string[], bits: number): string {
  return words[(bits & 0xfff) % words.length] ?? 'run';
}
