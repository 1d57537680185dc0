/// <reference lib="dom" />
/**
 * Opens and keeps drafts of masks.
 *
 * @module
 */

import { type Signal, signal } from "@preact/signals";
import { attempt } from "./attempt.ts";
import { maskFile, type Operation, paintedShare } from "./mask_drawing.ts";
import { pictureUrl, uploadPicture } from "./server.ts";
import { change, form } from "./state.ts";

/** The draft of a picture's mask. */
export interface Draft {
  readonly operations: readonly Operation[];
  /** Softness of edges: the standard deviation in pixels. */
  readonly feather: number;
  /** Id of the artifact that it was last saved as. */
  readonly savedAs?: string | undefined;
}

/** Whether the mask editor is open. */
export const isMasking: Signal<boolean> = signal(false);

/** Drafts by the picture's artifact, so that no painting is lost while the page is open. */
const drafts = new Map<string, Draft>();

/** Opens the mask editor for the form's picture. */
export function editMask(): void {
  isMasking.value = true;
}

/** Returns the mask to edit: the draft, else the form's mask, else an empty one. */
export async function openDraft(): Promise<Draft> {
  const { source, mask } = form.value;
  const draft = drafts.get(source?.artifact ?? "");
  if (draft && (!mask || draft.savedAs === mask.artifact)) return draft;
  if (!mask) return { operations: [], feather: 0 };
  const image = new Image();
  image.src = pictureUrl({ artifact: mask.artifact, image: 0 });
  await image.decode();
  return { operations: [{ kind: "base", image }], feather: 0, savedAs: mask.artifact };
}

/** Keeps a draft for the next time. */
export function keepDraft(draft: Draft): void {
  const { source } = form.value;
  if (source) drafts.set(source.artifact, draft);
}

/**
 * Saves the mask to the form. If nothing is painted, the whole picture is repainted. Returns whether saving
 * succeeded.
 */
export async function saveMask(context: CanvasRenderingContext2D, draft: Draft): Promise<boolean> {
  return await attempt(async () => {
    if (paintedShare(context) === 0) {
      keepDraft(draft);
      return change({ mask: null });
    }
    const { artifact } = await uploadPicture(await maskFile(context, draft.feather));
    keepDraft({ ...draft, savedAs: artifact });
    change({ mask: { artifact, isSoft: draft.feather > 0 } });
  });
}
