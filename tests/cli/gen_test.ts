import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { join } from "node:path";
import { readArtifact } from "../../artifacts/files_on_disk.ts";
import { runEventSchema } from "../../graph/events.ts";
import { decodePicture } from "../../images/picture.ts";
import { MOST_THREADS } from "../../runtime/threads.ts";
import { inFolder, startCli, TINY } from "./run_cli.ts";
import { runHere } from "./run_here.ts";

const SMALL = ["-m", TINY, "-W", "64", "-H", "48", "--steps", "2", "--no-resolution-binning"];

Deno.test("gen writes a picture that carries its parameters, and prints its path", async () => {
  await inFolder(async (folder) => {
    const { status, stdout, stderr } = await runHere(folder, "gen", "Cute CAT!", ...SMALL, "--seed", "3");
    assert.equal(stderr, "");
    assert.equal(status, 0);
    assert.equal(stdout, `${join(folder, "cute-cat-3.png")}\n`);
    const { pixels, metadata } = await decodePicture(await Deno.readFile(join(folder, "cute-cat-3.png")));
    assert.deepEqual([pixels.width, pixels.height], [64, 48]);
    assert.match(
      metadata["parameters"] ?? "",
      /^Cute CAT!\nSteps: 2, Sampler: DPMSolverMultistepScheduler, .*Seed: 3/,
    );
    assert.equal(JSON.parse(metadata["pixstage"] ?? "").graph.nodes.denoise.parameters.steps, 2);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["cute-cat-3.png"]);
  });
});

Deno.test("gen makes the same bytes in one command and in three", async () => {
  await inFolder(async (folder) => {
    const file = (name: string) => Deno.readFileSync(join(folder, name));
    const run = async (...args: string[]) => {
      const { status, stderr } = await runHere(folder, "gen", ...args, ...SMALL);
      assert.equal(status, 0, stderr);
    };
    await run("cute cat", "-o", "whole.png", "--save-tensor", "whole.safetensors");
    await run("cute cat", "--until", "encode", "--save-embeds", "embeds.safetensors");
    await run(
      "--load-embeds",
      "embeds.safetensors",
      "--until",
      "denoise",
      "--save-latents",
      "latents.safetensors",
    );
    await run(
      "--load-latents",
      "latents.safetensors",
      "-o",
      "parts.png",
      "--save-tensor",
      "parts.safetensors",
    );
    const pictures = await Promise.all(["whole.png", "parts.png"].map((name) => decodePicture(file(name))));
    assert.deepEqual(pictures[0]!.pixels, pictures[1]!.pixels);
    assert.deepEqual(file("whole.safetensors"), file("parts.safetensors"));
    const { tensors } = await readArtifact(join(folder, "embeds.safetensors"));
    assert.deepEqual(Object.keys(tensors).sort(), [
      "negative_prompt_attention_mask",
      "negative_prompt_embeds",
      "prompt_attention_mask",
      "prompt_embeds",
    ]);
    assert.deepEqual(tensors["prompt_embeds"]?.shape, [1, 120, 32]);
  });
});

Deno.test("gen makes each image of a batch as if it were alone", async () => {
  await inFolder(async (folder) => {
    const batch = await runHere(
      folder,
      "gen",
      "cat",
      "dog",
      "-b",
      "2",
      ...SMALL,
      "--seed",
      "5",
      "-o",
      "%03d.png",
    );
    assert.equal(batch.status, 0, batch.stderr);
    const alone = await runHere(folder, "gen", "dog", ...SMALL, "--seed", "8", "-o", "alone.webp", "--quiet");
    assert.equal(alone.status, 0, alone.stderr);
    assert.equal(alone.stdout, "");
    const listed = await runHere(folder, "gen", "dog", ...SMALL, "--seed", "7,8", "-o", "listed.png");
    assert.equal(listed.stdout, [0, 1].map((i) => `${join(folder, `listed-00${i}.png`)}\n`).join(""));
    const pixels = async (name: string) =>
      (await decodePicture(Deno.readFileSync(join(folder, name)))).pixels;
    assert.deepEqual(await pixels("listed-001.png"), await pixels("003.png"));
    assert.equal((await decodePicture(Deno.readFileSync(join(folder, "alone.webp")))).format, "webp");
  });
});

Deno.test("gen --json prints one event per line", async () => {
  await inFolder(async (folder) => {
    const { stdout } = await runHere(folder, "gen", "cat", ...SMALL, "--json", "-o", "cat.png");
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const besides = (type: string) => lines.filter((line) => line.type === type);
    assert.deepEqual(besides("file"), [{ type: "file", path: join(folder, "cat.png") }]);
    assert.equal(besides("memory").length, 1);
    const events = lines.filter(({ type }) => !["file", "memory", "plan"].includes(type))
      .map((line) => runEventSchema.parse(line));
    assert.equal(events.filter(({ type }) => type === "step").length, 1 + 1 + 2 + 1);
    const last = events.at(-1);
    assert.ok(last?.type === "done" && (last.peakBytes ?? 0) > 1e7);
  });
});

const USAGE: readonly [args: readonly string[], says: RegExp][] = [
  [["gen", "cat", "--stesp", "3"], /unknown option '--stesp'\n?\(?.*Did you mean --steps/s],
  [["gne"], /unknown command 'gne'\n?\(?.*Did you mean gen/s],
  [["gen", "cat", "--steps", "0"], /--steps.*'0'.*whole number of at least 1/s],
  [["gen", "cat", "--steps", "many"], /whole number of at least 1/],
  [["gen", "cat", "--output-format", "gif"], /png, jpeg, webp/],
  [["gen", "cat", "-o", "cat.gif"], /its extension must be .png, .jpg, .jpeg or .webp/],
  [["gen"], /give exactly one of a prompt, --load-embeds and --load-latents. Given: none/],
  [["gen", "cat", "--load-latents", "x"], /Given: a prompt and --load-latents/],
  [["gen", "cat", "--until", "encode"], /give --save-embeds FILE/],
  [["gen", "cat", "-m", TINY, "--scheduler", "eulr"], /euler/],
  [["gen", "cat", "-m", TINY, "--scheduler-option", "use_karas_sigmas=true"], /use_karras_sigmas/],
  [["gen", "cat", "-m", TINY, "-H", "68", "--no-resolution-binning"], /multiples of 16.*68/],
  [["gen", "cat", "-m", TINY, "-H", "56", "--no-resolution-binning"], /multiples of 16.*56/],
  [["gen", "cat", "-m", TINY, "--timesteps", "900", "--sigmas", "1"], /timesteps.*sigmas/],
  [["gen", "cat", "-m", TINY, "--sigmas", "1,0.5"], /sigmas/],
  [["gen", "cat", "-m", TINY, "--steps", "1"], /one step/],
  [["gen", "cat", "-m", "./nowhere"], /nowhere/],
  [["gen", "cat", "-m", TINY, "--eta", "0.5"], /eta/],
  [["gen", "cat", "--eta", "2"], /^error: --eta must be at most 1: current value is 2\n$/],
  [["gen", "cat", "--vae-tile-size", "100"], /^error: --vae-tile-size must be a multiple of 8: .* is 100\n$/],
  [
    ["gen", "cat", "--vae-tile-overlap", "7"],
    /^error: --vae-tile-overlap must be a multiple of 8: .* is 7\n$/,
  ],
  [["gen", "cat", "-m", TINY, "-b", "3", "--seed", "1,2"], /1 or 3 seeds, but there are 2/],
];

for (const [args, says] of USAGE) {
  Deno.test(`wrong usage exits with status 2: ${args.filter((arg) => arg !== TINY).join(" ")}`, async () => {
    await inFolder(async (folder) => {
      const { status, stderr, stdout } = await runHere(folder, ...args);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /\n\s+at /, "a stack trace");
      assert.equal(status, 2, stderr);
      assert.equal(stdout, "");
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    });
  });
}

const FAILURES: readonly [args: readonly string[], says: RegExp][] = [
  [["gen", "--load-latents", "nothing.safetensors", "-m", TINY], /nothing\.safetensors/],
  [["inspect", "nothing.png"], /nothing\.png/],
];

for (const [args, says] of FAILURES) {
  Deno.test(`a failure exits with status 1: ${args.filter((arg) => arg !== TINY).join(" ")}`, async () => {
    await inFolder(async (folder) => {
      const { status, stderr } = await runHere(folder, ...args);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /\n\s+at /, "a stack trace");
      assert.equal(status, 1);
    });
  });
}

Deno.test("gen --help shows examples", async () => {
  await inFolder(async (folder) => {
    const { status, stdout } = await runHere(folder, "gen", "--help");
    assert.equal(status, 0);
    assert.match(stdout, /Examples:\n {2}deno task gen "cute cat"/);
  });
});

Deno.test("--version prints the version in deno.json", async () => {
  await inFolder(async (folder) => {
    const { status, stdout } = await runHere(folder, "--version");
    assert.deepEqual([status, stdout.trim()], [0, project.version]);
  });
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} ends a program whose result nobody reads`, async () => {
    await inFolder(async (folder) => {
      const pipe = join(folder, "pipe.png");
      await new Deno.Command("mkfifo", { args: [pipe] }).output();
      const child = startCli(folder, "gen", "cat", ...SMALL, "--json", "-o", pipe);
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let seen = ""; !seen.includes('"type":"done"');) seen += (await reader.read()).value;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const asked = performance.now();
      child.kill(signal);
      await reader.cancel();
      await child.stderr.cancel();
      assert.equal((await child.status).signal, signal);
      assert.ok(performance.now() - asked < 5000);
    });
  });
}

for (const threads of [1, MOST_THREADS]) {
  Deno.test(`gen on ${threads} threads stops at Ctrl-C with status 130 and leaves nothing behind`, async () => {
    await inFolder(async (folder) => {
      const args = [
        "-m",
        TINY,
        "-W",
        "256",
        "-H",
        "256",
        "--steps",
        "500",
        "--no-resolution-binning",
        "--json",
        "--threads",
        String(threads),
      ];
      const child = startCli(folder, "gen", "cat", ...args);
      const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let seen = ""; !seen.includes('"denoise","stage":"denoise"') || !seen.includes('"type":"step"');) {
        const { value, done } = await reader.read();
        assert.ok(!done, "ended before the first step");
        seen += value;
      }
      child.kill("SIGINT");
      const asked = performance.now();
      await reader.cancel();
      const { code } = await child.status;
      await child.stderr.cancel();
      assert.equal(code, 130);
      assert.ok(performance.now() - asked < 5000);
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    });
  });
}

Deno.test("inspect describes checkpoints, artifacts and pictures", async () => {
  await inFolder(async (folder) => {
    await runHere(folder, "gen", "cat", ...SMALL, "-o", "cat.jpg", "--save-latents", "l.safetensors");
    const inspect = async (file: string) =>
      JSON.parse((await runHere(folder, "inspect", file, "--json")).stdout);
    assert.equal((await inspect(TINY)).components.transformer.class, "PixArtTransformer2DModel");
    assert.deepEqual((await inspect("l.safetensors")).kind, "latents");
    assert.equal((await inspect("cat.jpg")).size, "64 x 48");
  });
});

Deno.test("the list commands name everything available", async () => {
  await inFolder(async (folder) => {
    assert.match((await runHere(folder, "schedulers")).stdout, /EulerDiscreteScheduler/);
    assert.match(
      (await runHere(folder, "stages")).stdout,
      /denoise 3: embeddings\?: embeddings, negative\?: embeddings, image\?: latents, mask\?: mask, noise\?: latents, control\?: latents, checkpoint\?: checkpoint → latents/,
    );
    assert.ok(Array.isArray(JSON.parse((await runHere(folder, "models", "--json")).stdout)));
  });
});
