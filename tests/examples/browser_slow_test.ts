/// <reference lib="dom" />
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import type { Tensor } from "../../artifacts/tensor.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { DEFAULT_MODEL } from "../../hub/local_models.ts";
import { toPixels } from "../../images/pixels.ts";
import { psnr } from "../../images/similarity.ts";
import { localRun } from "../../local.ts";
import { CHROMIUM, launchBrowser } from "../chromium.ts";
import { needing } from "../needing.ts";

/** Number of steps: enough to detect differences in the computation. */
const STEPS = 2;
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Starts the example like its users, on a separate port. */
async function serve(): Promise<{ url: string } & AsyncDisposable> {
  const args = ["task", "--quiet", "browser", "--port", "0"];
  const child = new Deno.Command(Deno.execPath(), { args, cwd: ROOT, stdout: "piped", stderr: "inherit" })
    .spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await lines.read();
  return {
    url: value.trim(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await lines.cancel();
      await child.status;
    },
  };
}

Deno.test(needing(CHROMIUM, {
  name: "a browser by itself makes the same picture as this machine",
  async fn() {
    await using served = await serve();
    await using browser = await launchBrowser();
    const page = await browser.newPage();
    const fault = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(`${served.url}?steps=${STEPS}`);
    await page.getByRole("button", { name: "Make" }).click();
    await Promise.race([page.getByText(/^Made in/).waitFor({ timeout: 120_000 }), fault]);
    const seen = await page.evaluate(() => {
      const { width, height } = document.querySelector("canvas")!;
      const { data } = document.querySelector("canvas")!.getContext("2d")!.getImageData(0, 0, width, height);
      return { width, height, data: [...data].filter((_, i) => i % 4 < 3) };
    });

    const graph = textToImage({ model: DEFAULT_MODEL, prompts: ["cute cat"], seeds: [0], steps: STEPS });
    const made = await runGraph(graph, localRun());
    const image = made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">;
    const ratio = psnr(toPixels(image)[0]!, { ...seen, data: Uint8Array.from(seen.data) });
    assert.ok(ratio >= 50, `PSNR ${ratio} dB`);
  },
}));
