import assert from "node:assert/strict";
import { keepAliveMs, keepAliveSchema } from "../../pixstage/duration.ts";
import { fc } from "../random.ts";

Deno.test("durations have the format of Ollama's keep_alive", () => {
  const known: readonly [string | number, number][] = [
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["500ms", 500],
    [" 90s ", 90_000],
    ["90", 90_000],
    [0.25, 250],
    ["0", 0],
    [0, 0],
    ["-0", 0],
    ["0m", 0],
    [-1, Infinity],
    ["-1", Infinity],
    ["-5m", Infinity],
  ];
  for (const [value, ms] of known) assert.equal(keepAliveMs(value), ms, String(value));
});

Deno.test("invalid durations are refused, by the schema too", () => {
  for (
    const value of [
      "",
      "m",
      "5 m",
      "5x",
      "m5",
      "--5m",
      "5m-",
      "1e3",
      "Infinity",
      "1h".repeat(10_000_000),
      "5,5m",
      NaN,
      Infinity,
      1e400,
    ]
  ) {
    assert.throws(() => keepAliveMs(value), { code: "invalid_value" }, String(value).slice(0, 40));
    assert(!keepAliveSchema.safeParse(value).success, String(value).slice(0, 40));
  }
  for (const value of [null, true, {}, [5]]) assert(!keepAliveSchema.safeParse(value).success);
});

Deno.test("hours, minutes, seconds and milliseconds add up", () => {
  fc.assert(fc.property(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(999), (h, m, s, ms) => {
    assert.equal(keepAliveMs(`${h}h${m}m${s}s${ms}ms`), ((h * 60 + m) * 60 + s) * 1000 + ms);
  }));
});
