// This module is browser compatible.

import { z } from "zod";

const entrySchema = z.strictObject({ name: z.string(), reference: z.string() });

/** Where a host finds checkpoints: the field `models` of its settings. */
export const hostModelsSchema = z.strictObject({
  endpoint: z.string().optional(),
  token: z.string().optional(),
  cacheDir: z.string().optional(),
  localFilesOnly: z.boolean().optional(),
  fetches: z.boolean().optional(),
  tries: z.number().optional(),
  concurrency: z.number().optional(),
  stallTimeout: z.number().optional(),
  userAgent: z.string().optional(),
  /** The only models that stages may name. */
  listed: z.array(entrySchema).optional(),
  /** LoRA adapters that stages may name in addition to the listed models. */
  loras: z.array(entrySchema).optional(),
});
