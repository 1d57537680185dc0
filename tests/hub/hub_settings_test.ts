import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hubSettings } from "../../hub/hub_settings.ts";
import { withVariables } from "../environment.ts";
import { withFolder } from "../models/checkpoint/copies.ts";

const NAMES = [
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_TOKEN_PATH",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HUGGINGFACE_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "HF_HUB_ETAG_TIMEOUT",
  "HF_HUB_DOWNLOAD_TIMEOUT",
  "XDG_CACHE_HOME",
];

/** Runs a function with only these variables. */
async function withEnv(variables: Record<string, string>, work: () => Promise<void>): Promise<void> {
  using _variables = withVariables({
    ...Object.fromEntries(NAMES.map((name) => [name, undefined])),
    ...variables,
  });
  await work();
}

Deno.test("hubSettings() reads the variables of Hugging Face's tools", async () => {
  await withFolder(async (home) => {
    await writeFile(join(home, "token"), "hf_stored\n");
    await withEnv({ XDG_CACHE_HOME: "/x" }, async () => {
      assert.deepEqual(await hubSettings(), {
        endpoint: "https://huggingface.co",
        token: undefined,
        tokenSource: undefined,
        cacheDir: "/x/huggingface/hub",
        localFilesOnly: false,
        answerTimeout: 10_000,
        downloadTimeout: 20_000,
      });
    });
    const slow = { HF_HUB_ETAG_TIMEOUT: "30", HF_HUB_DOWNLOAD_TIMEOUT: "never" };
    await withEnv(
      { HF_HOME: home, HF_HUB_OFFLINE: "1", HF_ENDPOINT: "http://mirror/", ...slow },
      async () => {
        assert.deepEqual(await hubSettings(), {
          endpoint: "http://mirror",
          token: "hf_stored",
          tokenSource: join(home, "token"),
          cacheDir: join(home, "hub"),
          localFilesOnly: true,
          answerTimeout: 30_000,
          downloadTimeout: 20_000,
        });
      },
    );
    await withEnv(
      { HF_HOME: home, HF_HUB_CACHE: "/c", HF_TOKEN: "hf_env", HF_HUB_OFFLINE: "0" },
      async () => {
        const { token, tokenSource, cacheDir, localFilesOnly } = await hubSettings();
        assert.deepEqual([token, tokenSource, cacheDir, localFilesOnly], ["hf_env", "HF_TOKEN", "/c", false]);
        const set = { endpoint: "http://a", token: "t", cacheDir: "/d", localFilesOnly: true };
        assert.deepEqual(await hubSettings({ ...set, stallTimeout: 50 }), {
          ...set,
          tokenSource: "the option token",
          answerTimeout: 50,
          downloadTimeout: 50,
        });
      },
    );
  });
});
