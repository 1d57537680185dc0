import { equal, ok, throws } from "node:assert/strict";
import type { Pixels } from "../../images/pixels.ts";
import { gmsd } from "../../images/gradient_similarity.ts";
import { psnr, ssim } from "../../images/similarity.ts";

const [WIDTH, HEIGHT] = [53, 37];

function picture(value: (x: number, y: number, channel: number) => number): Pixels {
  const data = new Uint8Array(WIDTH * HEIGHT * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    data[i] = value(pixel % WIDTH, Math.floor(pixel / WIDTH), i % 3);
  }
  return { width: WIDTH, height: HEIGHT, data };
}

const pattern = (x: number, y: number, c: number) => (x * 7 + y * 13 + c * 29 + x * y % 17) % 256;
const a = picture(pattern);
const b = picture((x, y, c) =>
  Math.min(Math.floor(pattern(x, y, c) * 3 / 4) + (x * x + y * c) % 23 * 2, 255)
);

Deno.test("psnr() matches scikit-image", () => {
  ok(Math.abs(psnr(a, b) - 19.924927643249255) < 1e-9);
  equal(psnr(a, a), Infinity);
});

Deno.test("ssim() matches scikit-image's with Wang's settings", () => {
  ok(Math.abs(ssim(a, b) - 0.9043792510454235) < 1e-9);
  equal(ssim(a, a), 1);
});

Deno.test("gmsd() matches piq's, also for odd sides", () => {
  const negative = picture((x, y, c) => 255 - pattern(x, y, c));
  ok(Math.abs(gmsd(a, b) - 0.034824637623347136) < 1e-9);
  ok(Math.abs(gmsd(a, negative) - 0.14632193457414042) < 1e-9);
  const even = ({ data }: Pixels): Pixels => {
    const rows = Array.from(
      { length: 32 },
      (_, y) => [...data.subarray(y * WIDTH * 3, (y * WIDTH + 48) * 3)],
    );
    return { width: 48, height: 32, data: Uint8Array.from(rows.flat()) };
  };
  ok(Math.abs(gmsd(even(a), even(b)) - 0.035867008540074116) < 1e-9);
  ok(Math.abs(gmsd(even(a), even(negative)) - 0.11460140751758749) < 1e-9);
  equal(gmsd(a, a), 0);
});

Deno.test("psnr() and ssim() refuse pictures that cannot be compared", () => {
  const small = { width: 10, height: 37, data: new Uint8Array(10 * 37 * 3) };
  throws(() => psnr(a, small), { code: "invalid_shape" });
  throws(() => ssim(a, small), { code: "invalid_shape" });
  throws(() => gmsd(a, small), { code: "invalid_shape" });
  throws(() => ssim(small, small), { code: "out_of_range" });
});
