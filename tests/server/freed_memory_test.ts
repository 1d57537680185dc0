import assert from "node:assert/strict";
import { memoryUsage } from "node:process";
import { FreedMemory } from "../../server/engine/freed_memory.ts";
import { needing } from "../needing.ts";
import { inOwnProcess } from "../own_process.ts";

const BLOCKS = 3000;
const BLOCK_BYTES = 1 << 16;

/** Makes glibc keep freed memory: many blocks, and one after them that remains allocated. */
function hoard(): { readonly freed: number; end(): void } {
  const libc = Deno.dlopen("libc.so.6", {
    malloc: { parameters: ["usize"], result: "pointer" },
    memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
    free: { parameters: ["pointer"], result: "void" },
  });
  const { malloc, memset, free } = libc.symbols;
  const blocks = Array.from(
    { length: BLOCKS + 1 },
    () => memset(malloc(BigInt(BLOCK_BYTES)), 1, BigInt(BLOCK_BYTES)),
  );
  const last = blocks.pop()!;
  for (const block of blocks) free(block);
  return {
    freed: BLOCKS * BLOCK_BYTES,
    end() {
      free(last);
      libc.close();
    },
  };
}

function hasGlibc(): boolean {
  try {
    Deno.dlopen("libc.so.6", { malloc_trim: { parameters: ["usize"], result: "i32" } }).close();
    return true;
  } catch {
    return false;
  }
}

const test = {
  name: "memory that a run has freed returns to the system",
  async fn() {
    const memory = new FreedMemory();
    const { freed, end } = hoard();
    const kept = memoryUsage.rss();
    memory.runEnded();
    for (let tries = 0; kept - memoryUsage.rss() < freed / 2; tries++) {
      assert(tries < 200, `${memoryUsage.rss()} bytes of ${kept} are still resident`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    memory.close();
    end();
  },
};

Deno.test(needing(
  { what: "the GNU C library", isThere: hasGlibc() },
  inOwnProcess(import.meta.url, test),
));
