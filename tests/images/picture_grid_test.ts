import assert from "node:assert/strict";
import { letter, letteringHeight, letteringWidth, shortened } from "../../images/lettering.ts";
import { pictureGrid } from "../../images/picture_grid.ts";
import type { Pixels } from "../../images/pixels.ts";
import { fc } from "../random.ts";

function plain(width: number, height: number, value: number): Pixels {
  return { width, height, data: new Uint8Array(width * height * 3).fill(value) };
}

/** Returns a picture's rows as `#` and `.`. */
function drawn({ width, height, data }: Pixels): string[] {
  return Array.from(
    { length: height },
    (_, y) => Array.from({ length: width }, (_, x) => data[(y * width + x) * 3] === 0 ? "#" : ".").join(""),
  );
}

Deno.test("letter() draws each character in its place", () => {
  const picture = plain(11, 7, 255);
  letter(picture, "L1", 0, 0, { scale: 1 });
  assert.deepEqual(drawn(picture), [
    "#.......#..",
    "#......##..",
    "#.......#..",
    "#.......#..",
    "#.......#..",
    "#.......#..",
    "#####..###.",
  ]);
});

Deno.test("letter() stays within the text's box and the picture for any text and position", () => {
  const text = fc.array(fc.constantFrom("a", "W", "~", " ", "é", "猫", "\n", "🐈"), { maxLength: 6 }).map((
    all,
  ) => all.join(""));
  fc.assert(
    fc.property(
      text,
      fc.integer({ min: -9, max: 30 }),
      fc.integer({ min: -9, max: 30 }),
      (text, left, top) => {
        const picture = plain(24, 24, 255);
        letter(picture, text, left, top, { scale: 1 });
        const [right, bottom] = [left + letteringWidth(text, 1), top + letteringHeight(1)];
        const outside = drawn(picture).some((row, y) =>
          [...row].some((pixel, x) => pixel === "#" && (x < left || x >= right || y < top || y >= bottom))
        );
        assert(!outside);
      },
    ),
  );
});

Deno.test("all printable ASCII characters look different", () => {
  const looks = Array.from({ length: 95 }, (_, index) => {
    const picture = plain(5, 7, 255);
    letter(picture, String.fromCharCode(32 + index), 0, 0, { scale: 1 });
    return drawn(picture).join("\n");
  });
  assert.equal(new Set(looks).size, 95);
});

Deno.test("shortened() returns a text that fits, and keeps a fitting one", () => {
  fc.assert(fc.property(fc.string({ maxLength: 40 }), fc.nat(400), (text, width) => {
    const short = shortened(text, width);
    assert(letteringWidth(short) <= width || short === "");
    if (letteringWidth(text) <= width) assert.equal(short, text);
    else assert("...".startsWith(short.slice(-3)) || short.endsWith("..."));
  }));
});

Deno.test("pictureGrid() arranges pictures in rows and columns with labels", () => {
  const pictures = [[plain(20, 10, 1), plain(20, 10, 2)], [plain(20, 10, 3), plain(20, 10, 4)]];
  const at = ({ width, data }: Pixels, x: number, y: number) => data[(y * width + x) * 3];
  const bare = pictureGrid(pictures, { gap: 2 });
  assert.deepEqual([bare.width, bare.height], [42, 22]);
  assert.deepEqual([at(bare, 0, 0), at(bare, 22, 0), at(bare, 0, 12), at(bare, 41, 21), at(bare, 20, 0)], [
    1,
    2,
    3,
    4,
    255,
  ]);
  const labelled = pictureGrid(pictures, { gap: 2, columns: ["a", "b"], rows: ["steps 4", "steps 8"] });
  const left = letteringWidth("steps 4") + 16;
  assert.deepEqual([labelled.width, labelled.height], [42 + left, 22 + letteringHeight() + 16]);
  assert.equal(at(labelled, left + 22, letteringHeight() + 16), 2);
  assert(labelled.data.includes(0));
  assert.throws(() => pictureGrid([[{ width: 2, height: 2, data: new Uint8Array(3) }]]), {
    code: "invalid_shape",
  });
});
