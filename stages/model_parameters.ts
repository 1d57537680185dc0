// This module is browser compatible.

import { z } from "zod";

/** The parameters by which every stage that uses a checkpoint names it. */
export const modelParameters = {
  /** The checkpoint: a folder, `org/name` or `org/name@revision`. */
  model: z.string().min(1, "A model is needed"),
  /** Which files, where the checkpoint has several: `fp16`. */
  variant: z.string().min(1).optional(),
};
