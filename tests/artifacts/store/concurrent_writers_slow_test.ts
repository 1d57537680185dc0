import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { verifyStore } from "../../../artifacts/store/folder_maintenance.ts";
import { FolderStore } from "../../../artifacts/store/folder_store.ts";
import { withFolder } from "./samples.ts";
import { seededRandom } from "../../random.ts";

const WRITER = fileURLToPath(new URL("./store_writer.ts", import.meta.url));
const ROUNDS = 200;

Deno.test("two processes that fill one store with the same and with different results tear and lose no file", async () => {
  await withFolder(async (folder) => {
    const writers = ["0", "1"].map((writer) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", WRITER, folder, writer, String(ROUNDS)],
        stderr: "inherit",
      }).output()
    );
    for (const { code, stdout } of await Promise.all(writers)) {
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), []);
    }
    const store = new FolderStore(folder);
    assert.deepEqual(await Array.fromAsync(verifyStore(store)), []);
    assert.equal((await Array.fromAsync(store.list())).length, 3 * ROUNDS);
    assert.deepEqual([...Deno.readDirSync(`${folder}/partial`)], []);
  });
});

Deno.test("a writer that is killed repeatedly leaves no torn file, and another one finishes its work", async () => {
  await withFolder(async (folder) => {
    const random = seededRandom();
    for (let kill = 0; kill < 10; kill++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", WRITER, folder, "0", String(ROUNDS)],
        stdout: "null",
      }).spawn();
      const timer = setTimeout(() => child.kill("SIGKILL"), 300 + random() * 300);
      await child.status;
      clearTimeout(timer);
      const store = new FolderStore(folder);
      const torn = (await Array.fromAsync(verifyStore(store))).filter(({ what }) => what !== "leftover");
      assert.deepEqual(torn, []);
    }
  });
});
