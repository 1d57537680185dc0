// This module is browser compatible.

/**
 * What a second transformer inherits from the part of a run that it continues.
 *
 * @module
 */

import { z } from "zod";
import type { ArtifactOutline } from "../../artifacts/outline.ts";
import type { JsonObject } from "../../artifacts/artifact.ts";
import type { Denoiser, DenoiseSettings } from "./settings.ts";

const size = z.int().positive();

/** The settings in a snapshot. One from an earlier version lacks steps and size. */
const settingsSchema = z.looseObject({
  fixed: z.looseObject({ scheduler: z.looseObject({ _class_name: z.string() }) }),
  changeable: z.looseObject({ guidanceScale: z.number() }),
  settings: z.looseObject({ steps: z.int().positive(), height: size, width: size }).optional(),
});

/** Returns the settings that a snapshot records for another transformer that continues from it. */
export function settingsToContinue({ steps, size }: DenoiseSettings): JsonObject {
  return { steps, height: size.height, width: size.width };
}

/**
 * Lets another transformer that continues from a snapshot inherit what the run has decided so far: guidance
 * scale, steps, size, and the scheduler unless it has its own. The first part may have had them from its
 * checkpoint, whose recommendations do not apply to another transformer otherwise.
 *
 * @param denoiser The denoiser.
 * @param transformer The other transformer, if there is one.
 * @param snapshot The outline of the snapshot, if there is one.
 * @returns The denoiser, with the settings of the snapshot as its defaults.
 */
export function continuedDenoiser(
  denoiser: Denoiser,
  transformer: string | undefined,
  snapshot: Pick<ArtifactOutline, "metadata"> | undefined,
): Denoiser {
  if (transformer === undefined || !snapshot) return denoiser;
  const { data } = settingsSchema.safeParse(snapshot.metadata);
  // What is no snapshot is refused with a reason later.
  if (!data) return denoiser;
  const { guidanceScale } = data.changeable;
  const { steps, height, width } = data.settings ?? {};
  const { _class_name: className, ...config } = data.fixed.scheduler;
  return {
    ...denoiser,
    defaults: { ...denoiser.defaults, guidanceScale, steps, height, width },
    scheduler: () => denoiser.scheduler({ className, config: z.record(z.string(), z.json()).parse(config) }),
  };
}
