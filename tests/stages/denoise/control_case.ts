/**
 * The cases of `goldens/extras/controlnet/`.
 *
 * @module
 */

import type { Artifact } from "../../../artifacts/artifact.ts";
import { tensor } from "../../../artifacts/tensor.ts";
import type { PictureRequestInput } from "../../../graph/picture_request.ts";
import { runGraph } from "../../../graph/run.ts";
import { localRun } from "../../../local.ts";
import { goldenPath } from "../../goldens.ts";
import { type ExtraCase, ExtraGoldens } from "../extra_goldens.ts";
import { caseRequest } from "../golden_cases.ts";

/** A case with a ControlNet. */
export interface ControlCase extends ExtraCase {
  readonly control: {
    readonly adapter: string;
    readonly images: readonly string[];
    readonly posterior: "mode" | "sample";
    readonly seed: number | null;
    readonly scale: number;
  };
}

/** The cases. */
export const controlGoldens = new ExtraGoldens<ControlCase>("controlnet");

/** Returns the path of a ControlNet of the reference. */
export function controlNetPath(name: string): string {
  return goldenPath(`extras/controlnet/adapters/${name}`);
}

/** Returns the ControlNet parameters of a case. */
export function controlRequest({ control }: ControlCase): Partial<PictureRequestInput> {
  return { controlnet: controlNetPath(control.adapter), controlnetScale: control.scale };
}

/** Encodes the control pictures of a case. */
export async function controlLatents(golden: ControlCase): Promise<Artifact> {
  const { images, posterior, seed } = golden.control;
  const { model, height, width, resolutionBinning } = caseRequest(golden);
  const parameters = {
    model,
    height,
    width,
    resolutionBinning,
    posterior,
    ...(seed === null ? {} : { seeds: [seed] }),
  };
  const rows: Float32Array[] = [];
  let shape: readonly number[] = [];
  for (const name of images) {
    const inputs = { image: { file: goldenPath(`extras/inputs/${name}.png`) } };
    const node = { stage: "encode-image", parameters, inputs };
    const made = await runGraph({ pixstage: 1, nodes: { control: node } }, localRun({ threads: 1 }));
    const latents = made.get("control.latents")!.artifact.tensors["latents"]!;
    rows.push(latents.data as Float32Array);
    shape = latents.shape;
  }
  const data = Float32Array.from(rows.flatMap((row) => [...row]));
  const latents = tensor("float32", [images.length, ...shape.slice(1)], data);
  return { kind: "latents", tensors: { latents }, metadata: {} };
}

/** Runs a case from its source picture, and compares it with the reference. */
export async function matchControl(golden: ControlCase): Promise<void> {
  const control = await controlLatents(golden);
  if (golden.tensors["control_latents"]) {
    controlGoldens.hold(golden, "control_latents", control.tensors["latents"]!.data as Float32Array);
  }
  await controlGoldens.match(golden, { request: controlRequest(golden), inputs: { control } });
}
