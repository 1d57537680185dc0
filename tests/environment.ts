/**
 * Environment variables of tests. All files of tests share one process, so a test, or a file when it unloads,
 * gives each variable its former value back.
 *
 * @module
 */

/** Sets environment variables until disposal, and unsets those of value `undefined`. */
export function withVariables(variables: Readonly<Record<string, string | undefined>>): Disposable {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  setAll(Object.entries(variables));
  return { [Symbol.dispose]: () => setAll(before) };
}

function setAll(variables: readonly (readonly [name: string, value: string | undefined])[]): void {
  for (const [name, value] of variables) {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  }
}
