import type { z } from "zod";
import { readPictureHeader } from "../../images/picture.ts";
import { toBase64 } from "../../artifacts/base64.ts";
import { ApiError } from "../api_error.ts";
import type { ServerContext } from "../context.ts";
import { jobImages } from "../job_reply.ts";
import type { Job } from "../jobs/job.ts";
import type { generationReplySchema, PictureRequest, TextRequest } from "../schemas/sdapi_request.ts";
import { parseInfotext } from "./infotext.ts";

/**
 * The web UI's defaults of fields that a request leaves out. Fields whose default depends on the model are
 * absent.
 */
const DEFAULTS = {
  prompt: "",
  negative_prompt: "",
  styles: null,
  seed: -1,
  subseed: -1,
  subseed_strength: 0,
  seed_resize_from_h: -1,
  seed_resize_from_w: -1,
  sampler_name: null,
  scheduler: null,
  batch_size: 1,
  n_iter: 1,
  restore_faces: null,
  tiling: null,
  do_not_save_samples: false,
  do_not_save_grid: false,
  eta: null,
  denoising_strength: null,
  s_min_uncond: null,
  s_churn: null,
  s_tmax: null,
  s_tmin: null,
  s_noise: null,
  override_settings: null,
  override_settings_restore_afterwards: true,
  refiner_checkpoint: null,
  refiner_switch_at: null,
  disable_extra_networks: false,
  comments: null,
  script_name: null,
  script_args: [],
  send_images: true,
  save_images: false,
  alwayson_scripts: {},
} as const;

/** Facts about a request that the answer reports. */
export interface GenerationFacts {
  /** The request. */
  readonly request: TextRequest | PictureRequest;
  /** The model that made the pictures. */
  readonly model: string;
  /** The sampler that the request names. */
  readonly sampler: string | undefined;
  /** The strength of the edit, if the request edits a picture. */
  readonly strength: number | undefined;
}

/**
 * Builds the answer to a request, with the web UI's fields.
 *
 * @param job The job, which has ended.
 * @param facts Facts about the request.
 * @param server Encodes the pictures.
 * @throws {ApiError} with the job's error, or if a picture is lost.
 */
export async function generationReply(
  job: Job,
  { request, model, sampler, strength }: GenerationFacts,
  { pictures }: Pick<ServerContext, "pictures">,
): Promise<z.infer<typeof generationReplySchema>> {
  if (job.error) throw ApiError.ofJob(job.error);
  if (job.status === "cancelled") throw new ApiError("cancelled", "The job was cancelled");
  const files: Uint8Array<ArrayBuffer>[] = [];
  const made = jobImages(job);
  for (const { artifact, image } of made) {
    const file = await pictures.write({ artifact, image, format: "png" });
    if (!file) throw new ApiError("lost", "The picture is no longer in the store");
    files.push(file);
  }
  const infotexts = files.map((file) => readPictureHeader(file).metadata["parameters"] ?? "");
  const read = parseInfotext(infotexts[0] ?? "");
  const seeds = made.map(({ seed }) => seed === null ? -1 : jsonSeed(seed));
  const { prompt, negative_prompt } = request;
  const info = {
    prompt,
    all_prompts: made.map(() => prompt),
    negative_prompt: negative_prompt ?? "",
    all_negative_prompts: made.map(() => negative_prompt ?? ""),
    seed: seeds[0] ?? -1,
    all_seeds: seeds,
    subseed: -1,
    all_subseeds: made.map(() => -1),
    subseed_strength: 0,
    width: made[0]?.width ?? 0,
    height: made[0]?.height ?? 0,
    sampler_name: sampler ?? read["Sampler"] ?? "",
    cfg_scale: Number(read["CFG scale"] ?? 1),
    steps: Number(read["Steps"] ?? 0),
    batch_size: Number(request.batch_size ?? 1),
    restore_faces: false,
    face_restoration_model: null,
    sd_model_name: model,
    sd_model_hash: null,
    sd_vae_name: null,
    sd_vae_hash: null,
    seed_resize_from_w: -1,
    seed_resize_from_h: -1,
    denoising_strength: strength ?? null,
    extra_generation_params: {},
    index_of_first_image: 0,
    infotexts,
    styles: [],
    job_timestamp: timestamp(job.created),
    clip_skip: 1,
    is_using_inpainting_conditioning: false,
    version: "pixstage",
    warnings: job.warnings,
  };
  const isSent = request.send_images !== false && request.send_images !== 0;
  const kept = "init_images" in request && !request.include_init_images
    ? { ...request, init_images: null, mask: null }
    : request;
  return {
    images: isSent ? files.map((file) => toBase64(file)) : [],
    parameters: { ...DEFAULTS, ...kept },
    info: JSON.stringify(info),
  };
}

/** Converts a seed to a number if JSON can represent it exactly. */
function jsonSeed(seed: string): number | string {
  const number = Number(seed);
  return Number.isSafeInteger(number) ? number : seed;
}

/** Formats a time as the web UI does: `20240131235959`, in UTC. */
export function timestamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replaceAll(/[-:T]/g, "").slice(0, 14);
}
