/// <reference lib="dom" />
/**
 * Opens and keeps what is painted on masks.
 *
 * @module
 */

import { type Signal, signal } from "@preact/signals";
import { attempt } from "./attempt.ts";
import { maskFile, type Operation, paintedShare } from "./mask_drawing.ts";
import { pictureUrl, uploadPicture } from "./server.ts";
import { change, form } from "./state.ts";

/** What was painted on a picture. */
export interface Draft {
  readonly operations: readonly Operation[];
  /** How soft edges are: the standard deviation in pixels. */
  readonly feather: number;
  /** The artifact that it was saved as last. */
  readonly savedAs?: string | undefined;
}

/** Whether the mask of the form's picture is being painted. */
export const isMasking: Signal<boolean> = signal(false);

/** Drafts by the artifact of the picture: nothing that was painted is lost while the page is open. */
const drafts = new Map<string, Draft>();

/** Opens the mask of the form's picture. */
export function editMask(): void {
  isMasking.value = true;
}

/** What to go on painting: the draft, else the form's mask, else nothing. */
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

/** Keeps what was painted, for the next time. */
export function keepDraft(draft: Draft): void {
  const { source } = form.value;
  if (source) drafts.set(source.artifact, draft);
}

/** Lets the form repaint what is painted alone, or everything where nothing is. Returns whether that worked. */
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
