/**
 * A function that is asked the same again and again, with its latest answers: of questions with at most `characters`
 * together, since what is read from a text grows with it. Errors are not remembered.
 */
export function remembered<T>(characters: number, compute: (text: string) => T): (text: string) => T {
  const answers = new Map<string, T>();
  let held = 0;
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined) return known;
    const answer = compute(text);
    answers.set(text, answer);
    held += text.length;
    for (const oldest of answers.keys()) {
      if (held <= characters) break;
      answers.delete(oldest);
      held -= oldest.length;
    }
    return answer;
  };
}
