// This module is browser compatible.

/**
 * The main entry point of the library: pictures from text in one call, or stage by stage. It writes graphs
 * and runs them. Everything that it does can also be done with graphs.
 *
 * @module
 */

import type { Artifact } from "../artifacts/artifact.ts";
import { artifactId } from "../artifacts/artifact_file.ts";
import { MemoryStore } from "../artifacts/store/memory_store.ts";
import { withFallback } from "../artifacts/store/fallback_store.ts";
import type { RunStore } from "../artifacts/store/store.ts";
import { InputError } from "../errors/pixstage_error.ts";
import type { GraphDocumentInput, GraphInput } from "../graph/document.ts";
import type { RunEvent } from "../graph/events.ts";
import type { Executor } from "../graph/executors/executor.ts";
import { describeOrigin, originOf, type Provenance } from "../graph/provenance.ts";
import { storedOrigin } from "../graph/lineage.ts";
import type { MemoryPlan } from "../graph/memory_plan.ts";
import { readPictureProvenance, type RecordedPicture } from "../graph/picture_provenance.ts";
import type { PictureRequestInput } from "../graph/picture_request.ts";
import { prepareRun } from "../graph/prepared_run.ts";
import { type ResumeChanges, resumeGraph, type ResumePoint } from "../graph/resume.ts";
import { runGraph } from "../graph/run.ts";
import type { MadeArtifact, ReadFile, RunOptions, RunResult } from "../graph/run_options.ts";
import { textToImage, type TextToImageOptions } from "../graph/text_to_image.ts";
import { isPictureFile } from "../images/picture.ts";
import { pictureArtifact, readPictureArtifact } from "../images/picture_artifact.ts";
import type { Pixels } from "../images/pixels.ts";
import { memorySize } from "./byte_size.ts";
import { memoryLimit } from "../runtime/memory_limit.ts";
import { Embeddings, Image, Latents, type ResultFiles } from "./results.ts";

/** Options of {@linkcode Pixstage}. */
export interface PixstageOptions
  extends Pick<RunOptions, "registry" | "residency" | "placement" | "freeGpuMemory"> {
  /** The available executors. The first is the default. */
  readonly executors: readonly [Executor, ...Executor[]];
  /** The default checkpoint. */
  readonly model: string;
  /**
   * Keeps artifacts and earlier results. The default is a store in memory that lasts as long as this object.
   */
  readonly store?: RunStore | undefined;
  /** Why the store keeps nothing on disk, if it does not. Every call repeats it as a warning. */
  readonly storeWarning?: string | undefined;
  /** Reads artifacts from files. Absent without a disk. */
  readonly readFile?: ((path: string) => Promise<ReadFile>) | undefined;
  /** Reads the bytes of picture files, which record how they were made. Absent without a disk. */
  readonly readBytes?: ((path: string) => Promise<Uint8Array>) | undefined;
  /** Writes results to files. Absent without a disk. */
  readonly files?: ResultFiles | undefined;
  /**
   * Listens to warnings about the hub, e.g. that its cached copy is used. A call's warnings include those
   * that occur while it runs.
   *
   * @returns A function that stops listening.
   */
  readonly onHubWarning?: ((listener: (message: string) => void) => () => void) | undefined;
  /** Returns the free memory in bytes, if known. */
  readonly freeMemory?: (() => number) | undefined;
  /** Closes what was opened together with this object. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** Options of every call, in addition to its request. */
export interface CallOptions {
  /** Stops the call at the next step when aborted, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with every event, in order. */
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Called after each step. */
  readonly onStep?: ((step: Extract<RunEvent, { type: "step" }>) => void) | undefined;
  /** Called with previews of the pictures. Previews are only made if this is given. */
  readonly onPreview?: ((preview: Extract<RunEvent, { type: "preview" }>) => void) | undefined;
  /**
   * Maximum memory: bytes, or a text such as `1.5GB`. 0 means no limit; a negative amount means the free
   * memory minus that much.
   */
  readonly maxMemory?: number | string | undefined;
  /** Maximum GPU memory: bytes, or a text such as `3GB`. */
  readonly maxGpuMemory?: number | string | undefined;
  /** The lowest precision that may be chosen to stay within the memory limits. */
  readonly lowestPrecision?: RunOptions["lowestPrecision"];
}

type Request = Partial<Omit<PictureRequestInput, "prompts" | "seeds">>;

/** An initial picture: the path or the bytes of a PNG, JPEG or WebP file, pixels, or a result. */
export type PictureSource = string | Uint8Array | Pixels | Image;

/** Pictures that a run starts from. */
export interface FromPicture {
  /** The initial picture. `strength` determines how much it changes. */
  readonly image?: PictureSource | undefined;
  /** A mask of any size. White areas of `image` are repainted. */
  readonly mask?: PictureSource | undefined;
  /** The picture that the ControlNet `controlnet` makes the pictures follow. */
  readonly controlImage?: PictureSource | undefined;
}

/** A request for pictures. The checkpoint determines the defaults. */
export interface GenerateRequest extends Request, FromPicture {
  /** What the pictures show. Each prompt makes one picture. */
  readonly prompt: string | readonly string[];
  /** Seed of the first picture. The others have the next whole numbers. */
  readonly seed?: number | string | undefined;
  /** One seed per picture. */
  readonly seeds?: readonly (number | string)[] | undefined;
}

/** How prompts are encoded. */
export type EncodeRequest = Pick<
  Request,
  "model" | "variant" | "negativePrompt" | "cleanCaption" | "maxSequenceLength" | "precision"
>;

/** How latents are denoised. */
export interface DenoiseRequest
  extends
    Omit<Request, "negativePrompt" | "cleanCaption" | "maxSequenceLength">,
    FromPicture,
    Pick<GenerateRequest, "seed" | "seeds"> {}

/** How latents are decoded. */
export type DecodeRequest = Pick<
  Request,
  "model" | "variant" | "vae" | "tiling" | "tileSize" | "tileOverlap"
>;

/** Pictures from text, in one call or stage by stage. */
export class Pixstage implements AsyncDisposable {
  readonly #options: PixstageOptions;
  readonly #store: RunStore;
  /** Artifacts that the store could not take. */
  readonly #spare = new MemoryStore();
  /** How artifacts were made that another store than this one recorded, by id. */
  readonly #lineages = new Map<string, Provenance>();

  /** @param options The options. `open()` fills in all of them. */
  constructor(options: PixstageOptions) {
    this.#options = options;
    this.#store = withFallback(options.store ?? new MemoryStore(), this.#spare);
  }

  /**
   * Makes pictures from text.
   *
   * @param request What the pictures show, and how to make them.
   * @param options Events, a signal, memory limits. They take precedence over those in the request.
   * @returns The pictures: those of the first prompt, then those of the next.
   * @throws {InputError} if the request cannot be met. Nothing has been loaded then.
   */
  async generate(request: GenerateRequest & CallOptions, options: CallOptions = {}): Promise<Image[]> {
    const graph = textToImage(this.#pictureRequest(request), await this.#pictures(request));
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    return await this.#images(graph, "decode.image", { ...request, ...Object.fromEntries(given) });
  }

  /**
   * Encodes prompts and the negative prompt.
   *
   * @param prompt The prompts.
   * @param request The checkpoint, and how to prepare the prompts.
   * @returns Their embeddings.
   */
  async encode(
    prompt: string | readonly string[],
    request: EncodeRequest & CallOptions = {},
  ): Promise<Embeddings> {
    const { prompt: positive, negative } = textToImage(this.#pictureRequest({ ...request, prompt })).nodes;
    const graph: GraphDocumentInput = { pixstage: 1, nodes: { prompt: positive!, negative: negative! } };
    const { result, warnings } = await this.#run(graph, request);
    return this.#embeddings(result.get("prompt.embeddings")!, result.get("negative.embeddings"), warnings);
  }

  /**
   * Denoises latents.
   *
   * @param embeddings Embeddings, or the path of a file with embeddings.
   * @param request The checkpoint, size, schedule, guidance and seeds.
   * @returns The latents.
   */
  async denoise(
    embeddings: Embeddings | string,
    request: DenoiseRequest & CallOptions = {},
  ): Promise<Latents> {
    const { nodes: { decode: _decode, ...nodes } } = textToImage(this.#pictureRequest(request), {
      embeddingsFile: "",
      ...await this.#pictures(request),
    });
    const inputs: Record<string, GraphInput> = typeof embeddings === "string"
      ? { embeddings: { file: embeddings } }
      : {
        embeddings: await this.#kept(embeddings.prompts),
        ...(embeddings.negative ? { negative: await this.#kept(embeddings.negative) } : {}),
      };
    const first = "denoise-begin" in nodes ? "denoise-begin" : "denoise";
    const begin = { ...nodes[first]!, inputs: { ...nodes[first]!.inputs, ...inputs } };
    const graph = { pixstage: 1 as const, nodes: { ...nodes, [first]: begin } };
    const { result, warnings } = await this.#run(graph, request);
    return new Latents(result.get("denoise.latents")!, warnings, this.#options.files);
  }

  /**
   * Decodes latents.
   *
   * @param latents Latents, or the path of a file with latents.
   * @param request The checkpoint or another autoencoder, and the tiling.
   * @returns The pictures.
   */
  async decode(latents: Latents | string, request: DecodeRequest & CallOptions = {}): Promise<Image[]> {
    const graph = textToImage(this.#pictureRequest(request), { latentsFile: "" });
    const input = typeof latents === "string" ? { file: latents } : await this.#kept(latents);
    const decode = { ...graph.nodes["decode"]!, inputs: { latents: input } };
    return await this.#images({ pixstage: 1, nodes: { decode } }, "decode.image", request);
  }

  /**
   * Predicts how a request would use memory. Weights are not read.
   *
   * @param request The request, and memory limits.
   * @returns The plan, even if it does not fit.
   */
  async plan(request: GenerateRequest & CallOptions): Promise<MemoryPlan> {
    const graph = textToImage(this.#pictureRequest(request), await this.#pictures(request));
    const { memory } = await prepareRun(graph, { ...this.#runOptions(request), isTrial: true });
    return memory;
  }

  /**
   * Continues from existing embeddings, latents or a picture, with changes.
   *
   * @param point The result to continue from, or the path of a safetensors file or picture that records how
   * it was made.
   * @param changes What to change, and from which step.
   * @returns The pictures.
   */
  async resume(
    point: Latents | Image | string,
    changes: Omit<ResumeChanges, "decode"> & CallOptions = {},
  ): Promise<Image[]> {
    const { graph, wanted } = resumeGraph(await this.#resumePoint(point), { ...changes, decode: true });
    return await this.#images(graph, wanted, changes);
  }

  /**
   * Runs any graph.
   *
   * @param graph The graph document.
   * @param options Events, a signal, memory limits, and outputs to return in addition to those of the last
   * nodes.
   * @returns The artifacts, by `node.port`.
   */
  async run(
    graph: GraphDocumentInput,
    options: CallOptions & Pick<RunOptions, "until" | "outputs"> = {},
  ): Promise<RunResult> {
    return (await this.#run(graph, options)).result;
  }

  /** Closes what was opened together with this object. */
  async close(): Promise<void> {
    await this.#options.close?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Returns the graph inputs for the pictures that a run starts from. */
  async #pictures(
    { image, mask, controlImage }: FromPicture,
  ): Promise<Pick<TextToImageOptions, "image" | "mask" | "controlImage">> {
    const named = async (picture: PictureSource | undefined): Promise<TextToImageOptions["image"]> => {
      if (picture === undefined) return undefined;
      if (typeof picture === "string") return { file: picture };
      const artifact = picture instanceof Uint8Array
        ? await readPictureArtifact(picture)
        : pictureArtifact(picture instanceof Image ? picture.pixels : picture);
      return await this.#kept({ id: await artifactId(artifact), artifact });
    };
    return {
      image: await named(image),
      mask: await named(mask),
      controlImage: await named(controlImage),
    };
  }

  #pictureRequest(request: Partial<GenerateRequest> & CallOptions): PictureRequestInput {
    const {
      image: _image,
      mask: _mask,
      controlImage: _controlImage,
      prompt,
      seed,
      seeds = seed === undefined ? undefined : [seed],
      signal: _signal,
      onEvent: _onEvent,
      onStep: _onStep,
      onPreview: _onPreview,
      maxMemory: _maxMemory,
      maxGpuMemory: _maxGpuMemory,
      lowestPrecision: _lowestPrecision,
      ...rest
    } = request;
    return {
      model: this.#options.model,
      ...rest,
      ...(prompt === undefined ? {} : { prompts: [prompt].flat() }),
      ...(seeds === undefined ? {} : { seeds: [...seeds] }),
    };
  }

  async #images(graph: GraphDocumentInput, output: string, options: CallOptions): Promise<Image[]> {
    const { result, warnings } = await this.#run(graph, options);
    const made = result.get(output)!;
    const count = made.artifact.tensors["image"]?.shape[0] ?? 0;
    return Array.from({ length: count }, (_, index) => new Image(made, index, warnings, this.#options.files));
  }

  async #run(
    graph: GraphDocumentInput,
    options: CallOptions & Pick<RunOptions, "until" | "outputs">,
  ): Promise<{ readonly result: RunResult; readonly warnings: readonly string[] }> {
    const warnings: string[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.type === "warning") warnings.push(event.message);
      if (event.type === "step") options.onStep?.(event);
      if (event.type === "preview") options.onPreview?.(event);
      options.onEvent?.(event);
    };
    const { storeWarning } = this.#options;
    if (storeWarning !== undefined) onEvent({ type: "warning", message: storeWarning, elapsedMs: 0 });
    const started = performance.now();
    const stopListening = this.#options.onHubWarning?.((message) =>
      onEvent({ type: "warning", message, elapsedMs: performance.now() - started })
    );
    try {
      const previews = options.onPreview !== undefined;
      const result = await runGraph(graph, { ...this.#runOptions(options), previews, onEvent });
      return { result, warnings };
    } finally {
      stopListening?.();
    }
  }

  #runOptions(options: CallOptions & Pick<RunOptions, "until" | "outputs">): RunOptions {
    const { registry, executors, residency, placement, readFile, freeMemory, freeGpuMemory } = this.#options;
    const { signal, lowestPrecision, until, outputs } = options;
    const limit = (amount: number | string | undefined): number | undefined => {
      if (amount === undefined) return undefined;
      const bytes = typeof amount === "string" ? memorySize(amount) : amount;
      if (!Number.isFinite(bytes)) {
        throw new InputError(
          "invalid_value",
          `A limit of memory must be a number of bytes or a size such as 1.5GB: current value is ${amount}`,
        );
      }
      return memoryLimit(bytes, freeMemory?.() ?? Infinity);
    };
    return {
      registry,
      executors,
      residency,
      placement,
      readFile,
      store: this.#store,
      lineages: this.#lineages,
      signal,
      lowestPrecision,
      until,
      outputs,
      maxMemory: limit(options.maxMemory),
      maxGpuMemory: limit(options.maxGpuMemory),
      freeGpuMemory,
    };
  }

  #embeddings(
    prompts: MadeArtifact,
    negative: MadeArtifact | undefined,
    warnings: readonly string[],
  ): Embeddings {
    return new Embeddings(prompts, negative, warnings, async (path) => {
      const { files } = this.#options;
      if (!files) throw new InputError("invalid_value", "Cannot save a file: this environment has no disk");
      if (!negative) return await files.writeArtifact(path, prompts);
      const inputs = { positive: await this.#kept(prompts), negative: await this.#kept(negative) };
      const { result } = await this.#run({ pixstage: 1, nodes: { pair: { stage: "pair", inputs } } }, {});
      await files.writeArtifact(path, result.get("pair.embeddings")!);
    });
  }

  /**
   * Returns the graph input for an artifact, and puts the artifact into the store if it is missing there. An
   * artifact that the store cannot take because it is full stays in memory, and the run that uses it warns
   * about the store.
   */
  async #kept(
    { id, artifact, provenance }: {
      readonly id: string;
      readonly artifact: Artifact;
      readonly provenance?: Provenance | undefined;
    },
  ) {
    if (provenance && "artifact" in await storedOrigin(id, this.#store)) this.#lineages.set(id, provenance);
    if (!await this.#store.has(id)) {
      await this.#store.put(artifact).catch(() => this.#spare.put(artifact));
    }
    return { artifact: id };
  }

  async #resumePoint(point: Latents | Image | string): Promise<ResumePoint> {
    if (point instanceof Image) return { provenance: point.made.provenance };
    if (point instanceof Latents) {
      const { artifact, provenance } = point;
      return { artifact, provenance, input: await this.#kept(point) };
    }
    const { readFile, readBytes } = this.#options;
    if (!readFile) {
      throw new InputError("invalid_value", `Cannot read ${point}: this environment has no disk`);
    }
    const { artifact, provenance } = await readFile(point);
    if (artifact.kind === "image" && !provenance && readBytes) {
      const recorded = await pictureRecord(await readBytes(point), point);
      if (recorded) return { provenance: recorded.provenance };
    }
    const id = await artifactId(artifact);
    const input = await this.#kept({ id, artifact, provenance });
    const origin = provenance ? originOf(provenance) : await storedOrigin(id, this.#store);
    if ("artifact" in origin) {
      throw new InputError(
        "invalid_artifact",
        `Cannot continue from ${point}: neither the file nor the store records how it was made`,
      );
    }
    return { artifact, provenance: provenance ?? describeOrigin(origin), input };
  }
}

/** Returns what a picture file records about its making, or `undefined` if it is none or records nothing. */
async function pictureRecord(bytes: Uint8Array, path: string): Promise<RecordedPicture | undefined> {
  return isPictureFile(bytes) ? await readPictureProvenance(bytes, path) : undefined;
}
