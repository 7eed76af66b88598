/** A function that is asked the same again and again, with its latest answers. Errors are not remembered. */
export function remembered<T>(size: number, compute: (key: string) => T): (key: string) => T {
  const answers = new Map<string, T>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = compute(key);
    if (answers.size >= size) answers.delete(answers.keys().next().value!); // the oldest one
    answers.set(key, answer);
    return answer;
  };
}
