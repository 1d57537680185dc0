import assert from "node:assert/strict";
import { Slots } from "../../server/engine/slots.ts";

Deno.test("a fixed number of holders have a slot, the others wait in turn, and leaving frees a place", async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const leaver = new AbortController();
  const held = [await slots.take(), await slots.take()];
  const take = async (name: string, signal?: AbortSignal): Promise<void> => {
    using _slot = await slots.take(signal);
    order.push(name);
  };
  const waiting = [take("first"), take("leaves", leaver.signal), take("second")];
  leaver.abort(new Error("left"));
  await assert.rejects(waiting[1]!, /left/);
  assert.deepEqual(order, []);
  held[0]![Symbol.dispose]();
  await Promise.all([waiting[0], waiting[2]]);
  assert.deepEqual(order, ["first", "second"]);
  await assert.rejects(slots.take(leaver.signal), /left/);
  await take("third");
  held[1]![Symbol.dispose]();
});

Deno.test("slots are numbered, and free numbers are reused", async () => {
  const slots = new Slots(2);
  const [first, second] = [await slots.take(), await slots.take()];
  assert.deepEqual([first.index, second.index], [0, 1]);
  const waiting = slots.take();
  second[Symbol.dispose]();
  assert.equal((await waiting).index, 1);
  first[Symbol.dispose]();
  assert.equal((await slots.take()).index, 0);
});
