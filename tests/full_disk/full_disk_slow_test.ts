import assert from "node:assert/strict";
import { join } from "node:path";
import { FileError } from "../../disk/file_error.ts";
import { openComponent } from "../../models/checkpoint/component.ts";
import { openCheckpoint } from "../../models/checkpoint/checkpoint.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { openQuantized } from "../../models/quantization/open_quantized.ts";
import { writeSyntheticCheckpoint } from "../../models/synthetic/write_checkpoint.ts";
import { decodePicture } from "../../images/picture.ts";
import { inFolder, runCli, TINY } from "../cli/run_cli.ts";
import { onSmallDisk, SMALL_DISKS, type SmallDisk } from "./small_disk.ts";
import { needing } from "../needing.ts";

/** Defines a test that has a separate disk. */
function diskTest(name: string, megabytes: number, test: (disk: SmallDisk) => Promise<void>): void {
  Deno.test(needing(SMALL_DISKS, { name, fn: () => onSmallDisk(megabytes, test) }));
}

/** Expects the error of a full disk, with the name of a file. */
async function assertFull(work: Promise<unknown>, file: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert(error instanceof FileError, String(error));
    assert.equal(error.code, "disk_full");
    assert.match(error.message, /the disk is full: free some space or choose another folder/);
    assert.match(error.path, file);
    return true;
  });
}

diskTest(
  "a full disk stops a quantization with an error, and it resumes when there is space",
  8,
  (disk) =>
    inFolder(async (folder) => {
      await writeSyntheticCheckpoint(join(folder, "tiny"), { preset: "tiny", dtype: "float16" });
      const component = await openComponent(await openDiskSource(join(folder, "tiny")), {
        component: "text_encoder",
      });
      await openQuantized(component, "int8", join(folder, "whole"));
      const [whole] = Array.from(Deno.readDirSync(join(folder, "whole")), ({ name }) => name);
      const bytes = await Deno.readFile(join(folder, "whole", whole!, "model.safetensors"));

      // There is no space from the start, so nothing begins.
      await disk.fill(bytes.length / 2);
      await assertFull(openQuantized(component, "int8", disk.folder), /model\.safetensors$/);
      await assert.rejects(
        openQuantized(component, "int8", disk.folder),
        /[kM]B are needed, .* are free.*PIXSTAGE_QUANTIZED/,
      );
      assert.deepEqual((await disk.files()).filter((name) => !name.endsWith(".lock")), []);
      await disk.empty();

      // There is enough space until another program takes it.
      let done = 0;
      const stopped = openQuantized(component, "int8", disk.folder, {
        onProgress: (progress) => {
          done = progress.done;
          if (done === 5) fillNow(disk, bytes.length / 4);
        },
      });
      await assertFull(stopped, /model\.safetensors$/);
      assert(done > 5, "some tensors still found room");
      assert(!(await disk.files()).some((name) => name.endsWith("/model.safetensors")), "no whole name");
      await Deno.remove(join(disk.folder, "taken"));

      // Room again.
      let first = 0;
      await openQuantized(component, "int8", disk.folder, { onProgress: ({ done }) => first ||= done });
      assert.equal(first, done + 1, "what was done is kept");
      const path = (await disk.files()).find((name) => name.endsWith("/model.safetensors"));
      assert.deepEqual(await Deno.readFile(join(disk.folder, path!)), bytes);
    }),
);

diskTest(
  "a synthetic checkpoint without enough space is refused at once, or leaves no files",
  8,
  async (disk) => {
    const folder = join(disk.folder, "tiny");
    await disk.fill(1 << 20);
    await assertFull(writeSyntheticCheckpoint(folder, { preset: "tiny" }), /model_index\.json$/);
    assert.deepEqual(await disk.files(), []);
    await disk.empty();

    const stopped = writeSyntheticCheckpoint(folder, {
      preset: "tiny",
      onFile: ({ path }) => {
        if (path.startsWith("transformer")) fillNow(disk, 1 << 16);
      },
    });
    await assertFull(stopped, /transformer.diffusion_pytorch_model\.safetensors$/);
    const left = await disk.files();
    assert(!left.some((name) => /model_index|partial|transformer.*safetensors/.test(name)), left.join());
    await Deno.remove(join(disk.folder, "taken"));
    await writeSyntheticCheckpoint(folder, { preset: "tiny" });
    await openCheckpoint(await openDiskSource(folder));
  },
);

const SMALL = ["-m", TINY, "--steps", "2", "-W", "64", "-H", "64", "--no-resolution-binning"];

for (const executor of ["inline", "worker", "process"]) {
  diskTest(
    `a full store causes a warning but no failure, and the next run stores results again: ${executor}`,
    4,
    (disk) =>
      inFolder(async (folder) => {
        const store = join(disk.folder, "store");
        const run = () =>
          runCli(
            folder,
            ...[
              "gen",
              "a cat",
              ...SMALL,
              "--store",
              store,
              "--json",
              "-o",
              "cat.png",
              "--executor",
              executor,
            ],
          );
        await disk.fill();
        const full = await run();
        assert.equal(full.status, 0, full.stderr);
        assert.match(
          full.stdout,
          /"warning".*The store does not keep this run's artifacts: Cannot write .*disk is full/,
        );
        assert.equal(full.stdout.match(/"warning"/g)?.length, 1);
        assert.equal((await decodePicture(await Deno.readFile(join(folder, "cat.png")))).pixels.width, 64);
        assert.deepEqual((await disk.files()).filter((name) => !name.endsWith(".json")), []);

        await disk.empty();
        const roomy = await run();
        assert.doesNotMatch(roomy.stdout, /warning/);
        assert.equal((await run()).stdout.match(/stage:cached/g)?.length, 4, "what was kept is found");
      }),
  );
}

diskTest(
  "a picture without enough space causes an error with its name and leaves no file, and the next run only writes it",
  4,
  (disk) =>
    inFolder(async (folder) => {
      const output = join(disk.folder, "cat.png");
      const run = () => runCli(folder, "gen", "a cat", ...SMALL, "--json", "-o", output);
      await disk.fill();
      const full = await run();
      assert.equal(full.status, 1);
      assert.match(full.stderr, /Cannot write ".*cat\.png" because the disk is full: free some space/);
      assert.deepEqual(await disk.files(), []);

      await disk.empty();
      const roomy = await run();
      assert.equal(roomy.status, 0, roomy.stderr);
      assert.equal(roomy.stdout.match(/stage:cached/g)?.length, 4, "nothing is computed again");
      assert.deepEqual(await disk.files(), ["cat.png"]);
    }),
);

/** Fills the disk while a file is being written. */
function fillNow(disk: SmallDisk, left: number): void {
  const path = join(disk.folder, "taken");
  const chunk = new Uint8Array(1 << 12);
  const file = Deno.openSync(path, { create: true, write: true });
  let taken = 0;
  try {
    for (;; taken += chunk.length) file.writeSync(chunk);
  } catch {
    file.truncateSync(Math.max(0, taken - left));
  } finally {
    file.close();
  }
}
