/// <reference lib="dom" />
/**
 * Makes pictures in a worker to keep the page responsive.
 *
 * @module
 */

import type { Env } from "onnxruntime-common";
import {
  type OnnxRuntimeLibrary,
  OnnxRuntimeWeb,
  openHttpSource,
  runGraph,
  type Tensor,
  textToImage,
  toPixels,
  toRgba,
  webRun,
} from "../../web.ts";
import type { Answer, Order } from "./messages.ts";

const MODEL = "pixstage-emoji";
/** The library's address, outside of the bundle: the file is next to it, as it would be on a CDN. */
const LIBRARY: string = new URL("ort.js", location.href).href;

const worker = self as unknown as {
  onmessage: (message: MessageEvent<Order>) => void;
  postMessage(answer: Answer): void;
};

/** Opens the runtime and the model once. */
async function open() {
  const ort: OnnxRuntimeLibrary & { env: Env } = await import(LIBRARY);
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", location.href).href };
  ort.env.wasm.numThreads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const url = new URL(`models/${MODEL}/`, location.href).href;
  const files: Record<string, number> = await (await fetch(`${url}files.json`)).json();
  return webRun({ [MODEL]: openHttpSource(url, { files }) }, new OnnxRuntimeWeb(ort));
}

const opened = open();

worker.onmessage = async ({ data: { prompt, seed, steps } }) => {
  const start = performance.now();
  try {
    const request = { model: MODEL, prompts: [prompt], seeds: [seed], steps };
    const made = await runGraph(textToImage(request), {
      ...await opened,
      onEvent: (event) => worker.postMessage({ type: "event", event }),
    });
    const image = made.get("decode.image")!.artifact.tensors["image"] as Tensor<"float32">;
    const seconds = (performance.now() - start) / 1000;
    worker.postMessage({ type: "picture", picture: toRgba(toPixels(image)[0]!), seconds });
  } catch (error) {
    worker.postMessage({ type: "fault", message: error instanceof Error ? error.message : String(error) });
  }
};
