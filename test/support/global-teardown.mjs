/** Stops the server that `global-setup.mjs` has started, unless somebody else uses it. */
export default async function globalTeardown() {
  await globalThis.nestorTestServer?.close();
}
