/** 32 bytes in hexadecimal or base64, with an id and a colon before them or without. */
const KEY = /^(?:[\w.:-]{1,100}:)?(?:[0-9a-f]{64}|[\w+/-]{43}=?)$/i;

/** What is wrong with a variable that holds keys, in words that repeat nothing of it. */
export function keyProblems(name: string, text: string | undefined): string[] {
  const keys = text?.split(',') ?? [];
  if (keys.every((key) => KEY.test(key.trim()))) return [];
  return [
    `${name} must be 32 random bytes in base64 (openssl rand -base64 32), or several such keys with commas between`,
  ];
}
