import type { RetryPolicy } from '@nestor/core';

// Most runs have no tags and share the policy of their definition: the text is made once for each of those.
const policyTexts = new WeakMap<RetryPolicy, string>();
const NO_TAGS = '[]';

/** A run's policy as its row holds it. */
export function storedPolicy(policy: RetryPolicy): string {
  let text = policyTexts.get(policy);
  if (text === undefined) {
    text = JSON.stringify(policy);
    policyTexts.set(policy, text);
  }
  return text;
}

/** Tags as their column holds them. */
export function storedTags(tags: readonly string[]): string {
  return tags.length === 0 ? NO_TAGS : JSON.stringify(tags);
}
