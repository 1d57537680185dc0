// This module is browser compatible.

/**
 * The state of an interrupted denoising as an artifact. For each started image it contains the sample, the
 * scheduler's history and the generator's state. It also contains the inputs, so nothing else is needed to
 * continue. A run that continues from it ends with the same bytes.
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

/** Progress of one image. */
export interface ImageState {
  /** Number of model calls done. */
  readonly calls: number;
  /** The image's sample after these calls, flat. */
  readonly sample: Float32Array;
  /** The scheduler's history. Absent for a finished image. */
  readonly scheduler?: SchedulerState | undefined;
  /** The generator's state. Absent for a finished image. */
  readonly generator?: JsonObject | undefined;
  /** The step cache's residuals of each branch. */
  readonly caches?: Readonly<Partial<Record<Branch, BranchCache>>> | undefined;
}

/**
 * The identity of a denoising: everything that its state depends on. A null value means absent, and is not
 * written to files.
 */
export interface DenoiseIdentity {
  /** The values that must be the same for the state to be valid: schedule, shape, seeds. */
  readonly fixed: JsonObject;
  /** The values that can change on request: guidance, embeddings. */
  readonly changeable: JsonObject;
  /** The settings that another transformer inherits when it continues. They are not compared. */
  readonly settings?: JsonObject | undefined;
}

/** Progress of all images. */
export interface DenoiseState {
  /** The identity of the denoising. */
  readonly identity: DenoiseIdentity;
  /** The started images, by index. */
  readonly images: ReadonlyMap<number, ImageState>;
  /** The artifacts at the input ports, by port. */
  readonly inputs: Readonly<Record<string, Artifact>>;
}

/** The kind of the artifact. Existing files and graphs use this name. */
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
 * Packs the state of a denoising into an artifact. All arrays are copied, except for a step cache's residuals,
 * which are large and never overwritten.
 *
 * @param state Progress of all images.
 * @returns The artifact, of kind `checkpoint`.
 */
export function packDenoiseState({ identity, images, inputs }: DenoiseState): Artifact {
  const tensors: Record<string, Tensor> = {};
  const share = (name: string, data: Float32Array): void => {
    tensors[name] = tensor("float32", [data.length], data);
  };
  const add = (name: string, data: Float32Array): void => share(name, data.slice());
  const described: JsonValue[] = [];
  for (const [image, { calls, sample, scheduler, generator, caches = {} }] of images) {
    add(`image.${image}.sample`, sample);
    for (const [branch, { residuals }] of Object.entries(caches)) {
      if (!residuals) continue;
      share(`image.${image}.cache.${branch}.first`, residuals.first);
      share(`image.${image}.cache.${branch}.rest`, residuals.rest);
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
    metadata: {
      fixed: fixed!,
      changeable: changeable!,
      ...(identity.settings ? { settings: identity.settings } : {}),
      images: described,
      inputs: kept,
    },
  };
}

/**
 * Returns the inputs of the denoising that a state belongs to.
 *
 * @param artifact The state.
 * @returns The artifacts, by port.
 * @throws {ArtifactError} if the artifact is not a state of a denoising.
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
 * Returns the outline of a state that does not exist yet.
 *
 * @param identity What the state depends on, as far as it is known.
 * @param inputs Outlines of the denoising's inputs, by port.
 */
export function outlineSnapshot(
  { fixed, changeable, settings }: DenoiseIdentity,
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
    ...(settings ? { settings } : {}),
    images: [],
    inputs: known,
  };
  return { kind: KIND, shapes, metadata };
}

/**
 * Returns outlines of the inputs in a state, by port. An outline of a state that does not exist yet lists
 * none.
 */
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
 * Reads the state of a denoising, and checks it against the denoising that continues from it.
 *
 * @param artifact The state.
 * @param identity The denoising that continues from it.
 * @param allowChanges Whether guidance and embeddings may differ.
 * @returns The state of each image.
 * @throws {ArtifactError} if the state belongs to another denoising, or cannot be read.
 */
export function snapshotImages(
  artifact: Artifact,
  identity: DenoiseIdentity,
  allowChanges: boolean,
): Map<number, ImageState> {
  const { fixed, changeable, images } = readMetadata(artifact);
  requireEqual(fixed, identity.fixed, "The checkpoint belongs to another run");
  if (!allowChanges) {
    requireEqual(changeable, identity.changeable, "To change it midway, set allowChanges");
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
 * Checks the outline of a state against the denoising that continues from it, before anything is read. An
 * outline without metadata is accepted, because the state itself is checked later.
 *
 * @param outline The outline of the state.
 * @param identity The denoising that continues from it, as far as it is known.
 * @param allowChanges Whether guidance and embeddings may differ.
 * @throws {ArtifactError} if the state belongs to another denoising.
 */
export function checkSnapshot(
  { metadata }: ArtifactOutline,
  identity: DenoiseIdentity,
  allowChanges: boolean,
): void {
  if (Object.keys(metadata).length === 0) return;
  const { fixed, changeable } = readMetadata({ metadata });
  requireEqual(fixed, identity.fixed, "The checkpoint belongs to another run");
  if (!allowChanges) {
    requireEqual(changeable, identity.changeable, "To change it midway, set allowChanges");
  }
}

/** Returns the number of model calls of the image that has progressed furthest. */
export function snapshotStep(artifact: Pick<Artifact, "metadata">): number {
  return Math.max(...readMetadata(artifact).images.map(({ calls }) => calls));
}

function readMetadata({ metadata }: Pick<Artifact, "metadata">): z.infer<typeof metadataSchema> {
  return parseValue(
    metadataSchema,
    metadata,
    ({ clause }, options) =>
      new ArtifactError(
        `Cannot continue from a snapshot that does not belong to a denoising: ${clause}`,
        options,
      ),
  );
}

/** Reads the step cache's residuals of an image. */
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

/** Returns the tensors whose names start with `prefix`, by the rest of their names. */
function tensorsBehind({ tensors }: Artifact, prefix: string): Record<string, Tensor> {
  const found = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length), value]));
}

/** Returns an object without its null fields. */
function withoutNulls(fields: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

/** Throws if a state was made with other values. */
function requireEqual(found: JsonObject, wanted: JsonObject, advice: string): void {
  for (const [name, value] of Object.entries(wanted)) {
    const [was, is] = [found[name] ?? null, value].map(canonicalJson);
    if (was !== is) {
      throw new ArtifactError(
        `Cannot continue from the snapshot: ${name} must be ${short(was!)}, but its current value is ${
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
  throw new ArtifactError(`Cannot continue from the snapshot: it contains no float32 tensor ${name}`);
}
