/**
 * The log: an object for each thing that happens, a line of JSON for each object.
 *
 * @module
 */

/** Takes what happens. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

/** A log of JSON lines. */
export function jsonLog(write: (line: string) => void): Log {
  return (event, fields = {}) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

/** A log that nobody reads. */
export const noLog: Log = () => {};
