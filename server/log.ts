/**
 * The log: one JSON object per event, one line per object.
 *
 * @module
 */

/** Receives log entries. */
export type Log = (event: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Creates a log that writes JSON lines. */
export function jsonLog(write: (line: string) => void): Log {
  return (event, fields = {}) =>
    write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`);
}

/** A log that discards its entries. */
export const noLog: Log = () => {};
