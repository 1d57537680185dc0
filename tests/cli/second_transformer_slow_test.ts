import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { decodePicture } from "../../images/picture.ts";
import { MODELS, serving, sseEvents } from "../server/serving.ts";
import { inFolder, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "64", "--no-resolution-binning", "--steps", "4"];

Deno.test("gen, denoise and plan support a second transformer, and rerun and resume make the same bytes", async () => {
  await inFolder(async (folder) => {
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await runHere(folder, ...args);
      assert.equal(status, 0, stderr);
      return stdout + stderr;
    };
    const bytes = async (name: string) => (await Deno.readFile(join(folder, name))).toHex();
    await cp(join(TINY, "transformer"), join(folder, "other"), { recursive: true });
    const file = join(folder, "other", "diffusion_pytorch_model.safetensors");
    const weights = await Deno.readFile(file);
    weights[weights.length - 2]! ^= 0x7f;
    await Deno.writeFile(file, weights);
    const second = ["--second-transformer", "other", "--second-transformer-from", "0.4"];

    await run("gen", "cat", ...SMALL, "-o", "plain.png");
    await run("gen", "cat", ...SMALL, ...second, "--save-latents", "l.safetensors", "-o", "cat.png");
    assert.notEqual(await bytes("cat.png"), await bytes("plain.png"));
    assert.match(await run("rerun", "cat.png"), /The bytes are identical/);
    await run("resume", "cat.png", "-s", "5", "-o", "five.png");
    await run("gen", "cat", ...SMALL, ...second, "-s", "5", "-o", "direct.png");
    const { stages } = JSON.parse(await run("plan", "cat", ...SMALL, ...second, "--json"));
    assert.deepEqual(
      stages.map(({ stage }: { stage: string }) => stage).filter((name: string) =>
        name.startsWith("denoise")
      ),
      ["denoise-part", "denoise"],
    );

    // Stop in the second part, and resume from there.
    await run("gen", "cat", ...SMALL, "--until", "encode", "--save-embeds", "e.safetensors");
    const from = ["denoise", "e.safetensors", ...SMALL, ...second];
    await run(...from, "-o", "whole.safetensors");
    await run(...from, "--stop-after", "3", "-o", "state.safetensors");
    await run("resume", "state.safetensors", "-o", "rest.png");
    await run("decode", "whole.safetensors", "-m", TINY, "-o", "whole.png");
    const pixels = async (name: string) =>
      (await decodePicture(await Deno.readFile(join(folder, name)))).pixels.data;
    assert.deepEqual(await pixels("rest.png"), await pixels("whole.png"));
    assert.deepEqual(await pixels("five.png"), await pixels("direct.png"));

    for (
      const [given, message] of [
        [["--second-transformer", "other"], /^error: .*both --second-transformer and/],
        [["--second-transformer-from", "0.5"], /^error: .*both --second-transformer and/],
        [["--second-transformer", "other", "--second-transformer-from", "2"], /--second-transformer-from/],
        [["--second-transformer", "nowhere", "--second-transformer-from", "0.5"], /nowhere/],
      ] as const
    ) {
      const { status, stderr } = await runHere(folder, "gen", "cat", ...SMALL, ...given);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    }
  });
});

Deno.test("a server finds a second transformer in its list", async () => {
  await using server = await serving({
    models: [...MODELS, { name: "late", reference: join(TINY, "transformer") }],
  });
  const request = {
    model: "tiny",
    prompts: ["cat"],
    width: 64,
    height: 64,
    steps: 4,
    secondTransformer: "late",
    secondTransformerFrom: 0.5,
  };
  const ordered = await (await server.post("/v1/jobs", { request })).json();
  for await (const { event } of sseEvents(await server.ask(ordered.events_url))) void event;
  const job = await (await server.ask(`/v1/jobs/${ordered.id}`)).json();
  assert.equal(job.status, "completed", JSON.stringify(job.error));
  for (
    const [fields, status, param] of [
      [{ secondTransformer: "/etc/passwd" }, 404, "request.secondTransformer"],
      [{ secondTransformerFrom: undefined }, 400, "request.secondTransformer"],
      [{ secondTransformer: undefined }, 400, "request.secondTransformerFrom"],
    ] as const
  ) {
    const reply = await server.post("/v1/jobs", { request: { ...request, ...fields } });
    assert.deepEqual([reply.status, (await reply.json()).error.param], [status, param]);
  }
  const { status } = await server.post("/v1/jobs", { request: { ...request, secondTransformerFrom: 1 } });
  assert.equal(status, 400);
});
