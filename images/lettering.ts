// This module is browser compatible.

/**
 * Small text in pictures: capital letters are five pixels wide and seven pixels high.
 *
 * @module
 */

import type { Pixels } from "./pixels.ts";

/** Rows of a character. */
const ROWS = 7;
/** Columns of a character, without the gap after it. */
const COLUMNS = 5;
const ADVANCE = COLUMNS + 1;

/**
 * Characters and their rows from top to bottom, one base-32 digit per row. The bits of a digit are the pixels
 * of the row, the leftmost one the highest.
 */
const GLYPHS: Readonly<Record<string, string>> = {
  "!": "4444404",
  '"': "aa00000",
  "#": "aavavaa",
  "$": "4fke5u4",
  "%": "pq248bj",
  "&": "cik8lid",
  "'": "4400000",
  "(": "2488842",
  ")": "8422248",
  "*": "04lel40",
  "+": "044v440",
  ",": "0000c48",
  "-": "000v000",
  ".": "00000cc",
  "/": "01248g0",
  "0": "ehjlphe",
  "1": "4c4444e",
  "2": "eh1248v",
  "3": "v2421he",
  "4": "26aiv22",
  "5": "vgu11he",
  "6": "68guhhe",
  "7": "v124888",
  "8": "ehhehhe",
  "9": "ehhf12c",
  ":": "0cc0cc0",
  ";": "0cc0c48",
  "<": "248g842",
  "=": "00v0v00",
  ">": "8421248",
  "?": "eh12404",
  "@": "eh1dlle",
  A: "ehhhvhh",
  B: "uhhuhhu",
  C: "ehggghe",
  D: "sihhhis",
  E: "vgguggv",
  F: "vgguggg",
  G: "ehgnhhf",
  H: "hhhvhhh",
  I: "e44444e",
  J: "72222ic",
  K: "hikokih",
  L: "ggggggv",
  M: "hrllhhh",
  N: "hhpljhh",
  O: "ehhhhhe",
  P: "uhhuggg",
  Q: "ehhhlid",
  R: "uhhukih",
  S: "fgge11u",
  T: "v444444",
  U: "hhhhhhe",
  V: "hhhhha4",
  W: "hhhllla",
  X: "hha4ahh",
  Y: "hhha444",
  Z: "v1248gv",
  "[": "e88888e",
  "\\": "0g84210",
  "]": "e22222e",
  "^": "4ah0000",
  _: "000000v",
  "`": "8420000",
  a: "00e1fhf",
  b: "ggmphhu",
  c: "00egghe",
  d: "11djhhf",
  e: "00ehvge",
  f: "698s888",
  g: "0fhhf1e",
  h: "ggmphhh",
  i: "40c444e",
  j: "20622ic",
  k: "ggikoki",
  l: "c44444e",
  m: "00qllhh",
  n: "00mphhh",
  o: "00ehhhe",
  p: "00uhugg",
  q: "00djf11",
  r: "00mpggg",
  s: "00ege1u",
  t: "88s8896",
  u: "00hhhjd",
  v: "00hhha4",
  w: "00hhlla",
  x: "00ha4ah",
  y: "00hhf1e",
  z: "00v248v",
  "{": "2448442",
  "|": "4444444",
  "}": "8442448",
  "~": "008l200",
};

/** Options for drawing a text. */
export interface LetteringOptions {
  /**
   * Pixels of the picture along a side of one pixel of a character.
   *
   * @default {2}
   */
  readonly scale?: number;
  /**
   * The colour of the text: red, green, blue.
   *
   * @default {[0, 0, 0]}
   */
  readonly colour?: readonly [red: number, green: number, blue: number];
}

/** Returns the width of a text in pixels. */
export function letteringWidth(text: string, scale = 2): number {
  return Math.max(0, [...text].length * ADVANCE - 1) * scale;
}

/** Returns the height of a text in pixels. */
export function letteringHeight(scale = 2): number {
  return ROWS * scale;
}

/**
 * Shortens a text to a width; three dots replace the omitted part.
 *
 * @param text The text.
 * @param width The maximum width in pixels.
 * @param scale The scale at which the text is drawn.
 * @returns The text or its beginning.
 */
export function shortened(text: string, width: number, scale = 2): string {
  if (letteringWidth(text, scale) <= width) return text;
  const most = Math.floor((width / scale + 1) / ADVANCE);
  const dots = "...".slice(0, most);
  return [...text].slice(0, most - dots.length).join("").trimEnd() + dots;
}

/**
 * Draws a text into a picture, in place. Characters outside of printable ASCII become question marks, and
 * pixels outside of the picture are omitted.
 *
 * @param picture The picture.
 * @param text The text.
 * @param left The column of its left edge.
 * @param top The row of its upper edge.
 * @param options Its size and colour.
 */
export function letter(
  { width, height, data }: Pixels,
  text: string,
  left: number,
  top: number,
  { scale = 2, colour = [0, 0, 0] }: LetteringOptions = {},
): void {
  [...text].forEach((character, index) => {
    const glyph = character === " " ? "0000000" : GLYPHS[character] ?? GLYPHS["?"]!;
    for (let row = 0; row < ROWS * scale; row++) {
      const bits = parseInt(glyph[Math.floor(row / scale)]!, 32);
      for (let column = 0; column < COLUMNS * scale; column++) {
        const x = left + index * ADVANCE * scale + column;
        const y = top + row;
        const isSet = bits >> (COLUMNS - 1 - Math.floor(column / scale)) & 1;
        if (isSet && x >= 0 && x < width && y >= 0 && y < height) data.set(colour, (y * width + x) * 3);
      }
    }
  });
}
