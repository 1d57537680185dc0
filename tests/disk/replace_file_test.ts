import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rename, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile, whileBusy } from "../../disk/replace_file.ts";
import { inFolder } from "../cli/run_cli.ts";

Deno.test("replaceFile() replaces an existing file", () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, "new"), "new");
    await writeFile(join(folder, "old"), "old");
    await replaceFile(join(folder, "new"), join(folder, "old"));
    assert.deepEqual(await readdir(folder), ["old"]);
    assert.equal(await readFile(join(folder, "old"), "utf8"), "new");
  }));

/** The error code of Windows for an open file. */
function busy(code: string): Error {
  return Object.assign(new Error(`${code}: operation not permitted`), { code });
}

Deno.test("whileBusy() tries again until the file is free, but not beyond its limit", async () => {
  for (const code of ["EPERM", "EBUSY", "EACCES"]) {
    let tries = 0;
    const operation = (): Promise<void> => ++tries < 4 ? Promise.reject(busy(code)) : Promise.resolve();
    await whileBusy(operation, [1, 1, 1]);
    assert.equal(tries, 4);
    tries = 0;
    await assert.rejects(whileBusy(operation, [1, 1]), { code });
    assert.equal(tries, 3);
  }
});

Deno.test("whileBusy() throws at once if waiting cannot help", () =>
  inFolder(async (folder) => {
    let tries = 0;
    await mkdir(join(folder, "taken"));
    await writeFile(join(folder, "file"), "");
    const operation = (): Promise<void> => (tries++, rename(join(folder, "file"), join(folder, "taken")));
    await assert.rejects(whileBusy(operation, [1, 1]), { code: "EISDIR" });
    assert.equal(tries, 1);
    await rmdir(join(folder, "taken"));
  }));
