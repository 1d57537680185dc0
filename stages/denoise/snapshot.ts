// This module is browser compatible.

/**
 * The state of an interrupted denoising as an artifact: for each image that was begun its sample, what the scheduler
 * remembers, and where its generator stands; and the inputs, so that nothing else is needed to go on. A run that goes on
 * from it ends with the same bytes.
 *
 * @module
 */

import { parseValue } from "../../errors/parse_value.ts";
import { z } from "zod";
import { type Artifact, ArtifactError, type JsonObject, type JsonValue } from "../../artifacts/artifact.ts";
import { canonicalJson } from "../../artifacts/canonical_json.ts";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import { type Tensor, tensor } from "../../artifacts/tensor.ts";
import type { BranchCache } from "../../models/architecture.ts";
import type { SchedulerState } from "../../schedulers/scheduler.ts";

/** The predictions of a step: for the negative prompt, for the prompt, and with perturbed attention. */
export const BRANCHES = ["negative", "prompt", "perturbed"] as const;

/** One of the predictions of a step. */
export type Branch = typeof BRANCHES[number];

/** How far one image has come. */
export interface ImageState {
  /** Calls of the model that are done. */
  readonly calls: number;
  /** Its sample after them, flat. */
  readonly sample: Float32Array;
  /** What the scheduler remembers; a finished image needs none. */
  readonly scheduler?: SchedulerState | undefined;
  /** Where its generator stands; a finished image needs none. */
  readonly generator?: JsonObject | undefined;
  /** What a step cache remembers of each branch. */
  readonly caches?: Readonly<Partial<Record<Branch, BranchCache>>> | undefined;
}

/** What a denoising is, as far as its state depends on it. What is null is not there, and no file holds it. */
export interface DenoiseIdentity {
  /** What must be the same, or the state has no meaning: schedule, shape, seeds. */
  readonly fixed: JsonObject;
  /** What may be changed on the way where that is asked for: guidance, embeddings. */
  readonly changeable: JsonObject;
}

/** How far all images have come. */
export interface DenoiseState {
  /** What the denoising is. */
  readonly identity: DenoiseIdentity;
  /** The images by their place; those that were not begun are missing. */
  readonly images: ReadonlyMap<number, ImageState>;
  /** The artifacts at the input ports, by port. */
  readonly inputs: Readonly<Record<string, Artifact>>;
}

/** The kind of the artifact. Files and graphs that were written before say so. */
const KIND = "checkpoint";

const object = z.custom<JsonObject>((value) =>
  value !== null && typeof value === "object" && !Array.isArray(value)
);

const metadataSchema = z.looseObject({
  fixed: object,
  changeable: object,
  images: z.array(z.object({
    image: z.int().nonnegative(),
    calls: z.int().positive(),
    scheduler: object.optional(),
    generator: object.optional(),
  })),
  inputs: z.record(z.string(), z.object({ kind: z.string(), metadata: object })),
});

/**
 * Writes the state of a denoising as an artifact. All arrays are copied.
 *
 * @param state How far it has come.
 * @returns The artifact, of kind `checkpoint`.
 */
export function packDenoiseState({ identity, images, inputs }: DenoiseState): Artifact {
  const tensors: Record<string, Tensor> = {};
  const add = (name: string, data: Float32Array): void => {
    tensors[name] = tensor("float32", [data.length], data.slice());
  };
  const described: JsonValue[] = [];
  for (const [image, { calls, sample, scheduler, generator, caches = {} }] of images) {
    add(`image.${image}.sample`, sample);
    for (const [branch, { residuals }] of Object.entries(caches)) {
      if (!residuals) continue;
      add(`image.${image}.cache.${branch}.first`, residuals.first);
      add(`image.${image}.cache.${branch}.rest`, residuals.rest);
    }
    for (const [name, data] of Object.entries(scheduler?.arrays ?? {})) {
      add(`image.${image}.scheduler.${name}`, data);
    }
    described.push({
      image,
      calls,
      ...(scheduler ? { scheduler: scheduler.values } : {}),
      ...(generator ? { generator } : {}),
    });
  }
  const kept: Record<string, JsonObject> = {};
  for (const [port, input] of Object.entries(inputs)) {
    kept[port] = { kind: input.kind, metadata: input.metadata };
    for (const [name, value] of Object.entries(input.tensors)) tensors[`input.${port}.${name}`] = value;
  }
  const [fixed, changeable] = [identity.fixed, identity.changeable].map(withoutNulls);
  return {
    kind: KIND,
    tensors,
    metadata: { fixed: fixed!, changeable: changeable!, images: described, inputs: kept },
  };
}

/**
 * The inputs that the state of a denoising was made from.
 *
 * @param artifact The state.
 * @returns The artifacts, by port.
 * @throws {ArtifactError} if it is no state of a denoising.
 */
export function snapshotInputs(artifact: Artifact): Record<string, Artifact> {
  const { inputs } = readMetadata(artifact);
  return Object.fromEntries(
    Object.entries(inputs).map((
      [port, input],
    ) => [port, { ...input, tensors: tensorsBehind(artifact, `input.${port}.`) }]),
  );
}

/**
 * The outline of a state that is not there yet.
 *
 * @param identity What the denoising is, as far as it is known.
 * @param inputs Outlines of the inputs that it is made from, by port.
 */
export function outlineSnapshot(
  { fixed, changeable }: DenoiseIdentity,
  inputs: Readonly<Record<string, ArtifactOutline | undefined>>,
): ArtifactOutline {
  const shapes: Record<string, readonly number[]> = {};
  const known: Record<string, JsonObject> = {};
  for (const [port, input] of Object.entries(inputs)) {
    if (!input) continue;
    known[port] = { kind: input.kind, metadata: input.metadata };
    for (const [name, shape] of Object.entries(input.shapes)) shapes[`input.${port}.${name}`] = shape;
  }
  const metadata = {
    fixed: withoutNulls(fixed),
    changeable: withoutNulls(changeable),
    images: [],
    inputs: known,
  };
  return { kind: KIND, shapes, metadata };
}

/** Outlines of the inputs that a state was made from, by port; none where its own outline does not tell. */
export function snapshotOutlines({ metadata, shapes }: ArtifactOutline): Record<string, ArtifactOutline> {
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) return { embeddings: { kind: "embeddings", shapes: {}, metadata: {} } };
  return Object.fromEntries(
    Object.entries(parsed.data.inputs).map(([port, input]) => {
      const prefix = `input.${port}.`;
      const own = Object.entries(shapes).filter(([name]) => name.startsWith(prefix));
      return [port, {
        ...input,
        shapes: Object.fromEntries(own.map(([name, shape]) => [name.slice(prefix.length), shape])),
      }];
    }),
  );
}

/**
 * Reads the state of a denoising, and holds it against the denoising that is to go on from it.
 *
 * @param artifact The state.
 * @param identity What goes on from it.
 * @param allowChanges Whether guidance and embeddings may have changed.
 * @returns How far each image has come.
 * @throws {ArtifactError} if the state is of another denoising, or cannot be read.
 */
export function snapshotImages(
  artifact: Artifact,
  identity: DenoiseIdentity,
  allowChanges: boolean,
): Map<number, ImageState> {
  const { fixed, changeable, images } = readMetadata(artifact);
  holdAgainst(fixed, identity.fixed, "It is the checkpoint of another run");
  if (!allowChanges) {
    holdAgainst(changeable, identity.changeable, "To change it on the way, say allowChanges");
  }
  return new Map(images.map(({ image, calls, scheduler, generator }) => {
    const arrays: Record<string, Float32Array> = {};
    for (const [name, value] of Object.entries(tensorsBehind(artifact, `image.${image}.scheduler.`))) {
      arrays[name] = floats(value, name);
    }
    const sample = floats(artifact.tensors[`image.${image}.sample`], `image.${image}.sample`);
    const caches = readCaches(artifact, image);
    return [image, {
      calls,
      sample,
      scheduler: scheduler && { values: scheduler, arrays },
      generator,
      caches,
    }];
  }));
}

/**
 * Holds the outline of a state against the denoising that is to go on from it, before anything is read. An
 * outline that tells nothing is accepted: the state is held against the denoising again when it is there.
 *
 * @param outline The outline of the state.
 * @param identity What goes on from it, as far as it is known.
 * @param allowChanges Whether guidance and embeddings may have changed.
 * @throws {ArtifactError} if the state is of another denoising.
 */
export function checkSnapshot(
  { metadata }: ArtifactOutline,
  identity: DenoiseIdentity,
  allowChanges: boolean,
): void {
  if (Object.keys(metadata).length === 0) return;
  const { fixed, changeable } = readMetadata({ metadata });
  holdAgainst(fixed, identity.fixed, "It is the checkpoint of another run");
  if (!allowChanges) {
    holdAgainst(changeable, identity.changeable, "To change it on the way, say allowChanges");
  }
}

/** The call of the model up to which the image that came farthest has come. */
export function snapshotStep(artifact: Pick<Artifact, "metadata">): number {
  return Math.max(...readMetadata(artifact).images.map(({ calls }) => calls));
}

function readMetadata({ metadata }: Pick<Artifact, "metadata">): z.infer<typeof metadataSchema> {
  return parseValue(
    metadataSchema,
    metadata,
    ({ clause }, options) =>
      new ArtifactError(`Cannot go on from a checkpoint as it must be of a denoising: ${clause}`, options),
  );
}

/** What a step cache remembers of an image. */
function readCaches(artifact: Artifact, image: number): NonNullable<ImageState["caches"]> {
  const found = BRANCHES.flatMap((branch): [Branch, BranchCache][] => {
    const prefix = `image.${image}.cache.${branch}.`;
    const { first, rest } = tensorsBehind(artifact, prefix);
    if (!first && !rest) return [];
    return [[branch, {
      residuals: { first: floats(first, `${prefix}first`), rest: floats(rest, `${prefix}rest`) },
    }]];
  });
  return Object.fromEntries(found);
}

/** The tensors whose names begin with `prefix`, by the rest of their names. */
function tensorsBehind({ tensors }: Artifact, prefix: string): Record<string, Tensor> {
  const found = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]));
}

/** An object without the fields that are null. */
function withoutNulls(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** Refuses a state that was made with other values. */
function holdAgainst(found: JsonObject, wanted: JsonObject, advice: string): void {
  for (const [name, value] of Object.entries(wanted)) {
    const [was, is] = [found[name] ?? null, value].map(canonicalJson);
    if (was !== is) {
      throw new ArtifactError(
        `Cannot go on from the checkpoint as ${name} must be ${short(was!)}: current value is ${
          short(is!)
        }. ${advice}`,
      );
    }
  }
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function floats(found: Tensor | undefined, name: string): Float32Array {
  if (found?.dtype === "float32") return found.data;
  throw new ArtifactError(`Cannot go on from a checkpoint as it must hold float32 ${name}`);
}
