import assert from "node:assert/strict";
import { artifactId, encodeArtifact } from "../../artifacts/artifact_file.ts";
import { HttpStore } from "../../artifacts/store/http_store.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { exitStatus } from "../../errors/foreign_error.ts";
import type { RunEvent } from "../../graph/events.ts";
import { InlineExecutor } from "../../graph/executors/inline.ts";
import { HttpExecutor, RemoteStageError } from "../../graph/executors/http.ts";
import { runGraph } from "../../graph/run.ts";
import { textToImage } from "../../graph/text_to_image.ts";
import { ListedModels } from "../../hub/listed_models.ts";
import { LocalModels } from "../../hub/local_models.ts";
import { localRun } from "../../local.ts";
import { OnnxRuntimeNode } from "../../runtime/onnxruntime_node.ts";
import { MODELS, serving } from "./serving.ts";

const LATENTS = {
  kind: "latents",
  tensors: { latents: tensor("float32", [1, 4, 8, 8], new Float32Array(256)) },
  metadata: {},
};

Deno.test("artifacts can be uploaded, checked and downloaded, in whole or in part", async () => {
  await using server = await serving({ limits: { maxArtifactBytes: 5000 } });
  const store = new HttpStore(server.url);
  const bytes = encodeArtifact(LATENTS);
  const id = await artifactId(bytes);
  const path = `/v1/artifacts/${id}`;
  const put = (at: string, body: Uint8Array<ArrayBuffer>) => server.ask(at, { method: "PUT", body });

  assert.equal((await server.ask(path)).status, 404);
  assert.equal(await store.has(id), false);
  const first = await put(path, bytes);
  assert.equal(first.status, 201, await first.text());
  assert.equal((await put(path, bytes)).status, 200);
  assert.deepEqual(encodeArtifact((await store.get(id))!), bytes);
  assert.equal(await store.has(id), true);

  const whole = await server.ask(path);
  assert.deepEqual(await whole.bytes(), bytes);
  assert.match(whole.headers.get("cache-control")!, /immutable/);
  const etag = whole.headers.get("etag")!;
  assert.equal(etag, `"${id}"`);
  assert.equal((await server.ask(path, { headers: { "if-none-match": etag } })).status, 304);
  const head = await server.ask(path, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), String(bytes.length));
  for (
    const [range, start, end] of [["bytes=0-9", 0, 10], ["bytes=100-", 100, bytes.length], [
      "bytes=-5",
      bytes.length - 5,
      bytes.length,
    ]] as const
  ) {
    const part = await server.ask(path, { headers: { range } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("content-range"), `bytes ${start}-${end - 1}/${bytes.length}`);
    assert.deepEqual(await part.bytes(), bytes.slice(start, end));
  }
  assert.equal((await server.ask(path, { headers: { range: "bytes=999999-" } })).status, 416);

  const other = `/v1/artifacts/${"0".repeat(64)}`;
  assert.equal((await put(other, bytes)).status, 409);
  assert.equal((await server.ask(other)).status, 404);
  const noise = crypto.getRandomValues(new Uint8Array(100));
  assert.equal((await put(`/v1/artifacts/${await artifactId(noise)}`, noise)).status, 400);
  const large = new Uint8Array(6000);
  assert.equal((await put(`/v1/artifacts/${await artifactId(large)}`, large)).status, 413);
  assert.equal((await server.ask("/v1/artifacts/..%2f..%2fetc%2fpasswd")).status, 400);

  const stored = `${server.store}/artifacts/${id.slice(0, 2)}/${id}.safetensors`;
  const damaged = await Deno.readFile(stored);
  damaged[damaged.length - 1]! ^= 1;
  await Deno.writeFile(stored, damaged);
  assert.equal((await server.ask(path)).status, 404, "a damaged file is as good as none");
  assert.equal((await put(path, bytes)).status, 201, "and is mended");
  assert.deepEqual([...Deno.readDirSync(`${server.store}/partial`)], []);
});

Deno.test("one server encodes, another denoises, a third decodes, and the picture is the same", async () => {
  await using encoder = await serving();
  await using denoiser = await serving();
  await using decoder = await serving();
  const small = { model: "tiny", steps: 4, width: 64, height: 64 };
  const graph = textToImage({ ...small, prompts: ["cute cat"], seeds: [3] });
  const run = {
    ...localRun({ threads: 1 }),
    models: new ListedModels(MODELS, new LocalModels()),
  };
  const inline = new InlineExecutor({ models: run.models, runtime: new OnnxRuntimeNode({ threads: 1 }) });
  const alone = (await runGraph(graph, { ...run, executors: [inline] })).get("decode.image")!;

  const events: RunEvent[] = [];
  const servers = [encoder, denoiser, decoder].map(({ url }) => new HttpExecutor(url));
  const spread = await runGraph(graph, {
    ...run,
    executors: [inline, ...servers],
    placement: { encode: encoder.url, denoise: denoiser.url, decode: decoder.url },
    onEvent: (event) => events.push(event),
  });
  assert.equal(spread.get("decode.image")!.id, alone.id);
  assert.equal(events.filter(({ type }) => type === "step").length, 2 + 4 + 1);
  assert(events.some((event) => event.type === "stage:end" && (event.memory?.peak ?? 0) > 0));
});

Deno.test("a server says why it cannot run a stage, and a cancelled stage stops on it", async () => {
  await using server = await serving();
  const models = new ListedModels(MODELS, new LocalModels());
  const long = { model: "tiny", steps: 100, width: 512, height: 512, guidanceScale: 1 };
  const graph = textToImage({ ...long, prompts: ["cat"] });
  const run = { ...localRun({ threads: 1 }), models };
  const executors = [new HttpExecutor(server.url)] as const;
  const controller = new AbortController();
  await assert.rejects(
    runGraph(graph, {
      ...run,
      executors,
      signal: controller.signal,
      onEvent: (event) => event.type === "step" && event.stage === "denoise" && controller.abort(),
    }),
    { name: "AbortError" },
  );
  for (let tries = 0;; tries++) {
    const { data } = await (await server.ask("/v1/jobs?limit=1")).json();
    if (data[0].status === "cancelled") break;
    assert(tries < 50, `the job on the server is ${data[0].status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }

  const unknown = textToImage({ model: "elsewhere", prompts: ["cat"], guidanceScale: 1 });
  await assert.rejects(runGraph(unknown, { ...run, executors }), {
    name: "RemoteStageError",
    code: "model_not_found",
    status: 404,
    message: /There is no model "elsewhere"/,
  });
  await using strict = await serving({ limits: { maxSteps: 10 } });
  const refusal = await runGraph(graph, { ...run, executors: [new HttpExecutor(strict.url)] })
    .catch((error) => error);
  assert(refusal instanceof RemoteStageError);
  assert.deepEqual([refusal.code, refusal.fault, refusal.status], ["out_of_range", "caller", 400]);
  assert.equal(exitStatus(refusal), 2);
  await assert.rejects(
    runGraph(graph, { ...run, executors: [new HttpExecutor("http://127.0.0.1:9")] }),
    { name: "RemoteStageError", code: "unreachable", fault: "environment", message: /Cannot reach/ },
  );
  const refused = await server.post("/v1/stages/denoise", { version: "0.0" });
  assert.equal(refused.status, 409);
  assert.equal((await server.post("/v1/stages/nothing", {})).status, 404);
});
