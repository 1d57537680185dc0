// This module is browser compatible.

/**
 * JSON text sequences: a record separator before each text, and a line feed after it. A library may print to
 * the same stream between texts. Source: RFC 7464.
 *
 * @module
 */

const SEPARATOR = "\x1e";

/** Encodes one message of a sequence. */
export function encodeJsonText(message: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${SEPARATOR}${JSON.stringify(message)}\n`);
}

/**
 * Decodes the messages of a sequence.
 *
 * @param stream The bytes.
 * @param onNoise Called with lines that are not messages.
 * @yields The messages.
 * @throws {SyntaxError} if a message is not JSON.
 */
export async function* decodeJsonTexts(
  stream: AsyncIterable<Uint8Array>,
  onNoise: (line: string) => void = () => {},
): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const start = line.lastIndexOf(SEPARATOR);
      const noise = start < 0 ? line : line.slice(0, start);
      if (noise !== "") onNoise(noise);
      if (start >= 0) yield JSON.parse(line.slice(start + 1));
    }
  }
}
