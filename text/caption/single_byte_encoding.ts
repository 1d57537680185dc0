// This module is browser compatible.

/**
 * The single-byte encodings in which text is misread most often, and UTF-8 with its usual deviations. Bytes
 * are strings of the characters U+0000 to U+00FF, because regular expressions work on them.
 *
 * @module
 */

/** A single-byte encoding. All of them agree with ASCII. */
export interface SingleByteEncoding {
  /** The encoding's name. */
  readonly name: string;
  /** The characters of the bytes 0x80 to 0xff. */
  readonly upper: string;
  /** Whether unassigned bytes are kept and the replacement character U+FFFD encodes to byte 0x1a. */
  readonly sloppy: boolean;
  /** Returns the bytes of a text, or undefined if the encoding lacks one of its characters. */
  encode(text: string): string | undefined;
}

const UPPER_BYTES: Uint8Array<ArrayBuffer> = Uint8Array.from({ length: 128 }, (_, i) => 0x80 + i);

/** The upper half of IBM's code page 437, which TextDecoder does not support. */
const CP437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0";

function singleByteEncoding(name: string, upper: string): SingleByteEncoding {
  const sloppy = name.startsWith("windows-");
  const bytes = new Map(Array.from(upper, (character, i) => [character, String.fromCharCode(0x80 + i)]));
  for (let code = 0; code < 0x80; code++) bytes.set(String.fromCharCode(code), String.fromCharCode(code));
  if (sloppy) {
    bytes.delete("\x1a");
    bytes.set("\ufffd", "\x1a");
  }
  return {
    name,
    upper,
    sloppy,
    encode(text) {
      let encoded = "";
      for (const character of text) {
        const byte = bytes.get(character);
        if (byte === undefined) return undefined;
        encoded += byte;
      }
      return encoded;
    },
  };
}

/** Returns an encoding that TextDecoder supports; unassigned bytes stand for themselves. */
function knownEncoding(name: string): SingleByteEncoding {
  const upper = new TextDecoder(name).decode(UPPER_BYTES);
  return singleByteEncoding(
    name,
    Array.from(upper, (character, i) => character === "\ufffd" ? String.fromCharCode(0x80 + i) : character)
      .join(""),
  );
}

/** Windows-1252: Latin-1 with printable characters instead of most C1 controls. */
export const WINDOWS_1252: SingleByteEncoding = knownEncoding("windows-1252");

/** The encodings in which UTF-8 is commonly misread, most common first. */
export const SINGLE_BYTE_ENCODINGS: readonly SingleByteEncoding[] = [
  singleByteEncoding("latin-1", String.fromCharCode(...UPPER_BYTES)),
  WINDOWS_1252,
  ...["windows-1251", "windows-1250", "windows-1253", "windows-1254", "windows-1257"].map(knownEncoding),
  knownEncoding("iso-8859-2"),
  knownEncoding("macintosh"),
  singleByteEncoding("cp437", CP437),
];

const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A surrogate pair with each half encoded in three bytes. A line break at the very end counts as the last
 * byte.
 */
const CESU_8_PAIR = /\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf]|\n$)/g;
/** Java's two-byte form of U+0000. */
const LONG_NUL = /\xc0(?:\x80|\n$)/g;

/**
 * Decodes UTF-8, CESU-8 and Java's modified UTF-8.
 *
 * @param bytes Bytes, as a string of the characters U+0000 to U+00FF.
 * @returns The text, or undefined if the bytes are not valid.
 */
export function decodeUtf8(bytes: string): string | undefined {
  const plain = bytes.replace(LONG_NUL, "\0").replace(CESU_8_PAIR, (_, ...groups: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = groups.slice(0, 4).map((byte) => byte.charCodeAt(0));
    const code = 0x10000 + ((a & 0x0f) << 16) + ((b & 0x3f) << 10) + ((c & 0x0f) << 6) + (d & 0x3f);
    return String.fromCharCode(
      0xf0 | code >> 18,
      0x80 | code >> 12 & 0x3f,
      0x80 | code >> 6 & 0x3f,
      0x80 | code & 0x3f,
    );
  });
  try {
    return STRICT_UTF8.decode(Uint8Array.from(plain, (byte) => byte.charCodeAt(0)));
  } catch {
    return undefined;
  }
}
