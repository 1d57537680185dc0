/// <reference lib="dom" />
/**
 * The mask editor, which paints a mask over its picture.
 *
 * @module
 */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { VNode } from "preact";
import { useModal } from "./dialog.ts";
import { html } from "./html.ts";
import { drawAll, maskSize, type Operation, paintedShare } from "./mask_drawing.ts";
import { type Draft, isMasking, keepDraft, openDraft, saveMask } from "./mask_editor.ts";
import { type Brush, MaskTools, useShortcuts } from "./mask_tools.ts";
import { usePainting } from "./mask_painting.ts";
import { pictureUrl } from "./server.ts";
import { fault, form, type StoredPicture } from "./state.ts";

/** The dialog in which the user paints a mask. */
export function MaskView(): VNode | null {
  const { source } = form.value;
  return isMasking.value && source
    ? html`<${MaskDialog} key=${source.artifact} source=${source} />` as VNode
    : null;
}

function MaskDialog({ source }: { readonly source: StoredPicture }): VNode {
  const dialog = useModal(true);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [draft, setDraft] = useState<Draft>({ operations: [], feather: 0 });
  const [undone, setUndone] = useState<readonly Operation[]>([]);
  const [share, setShare] = useState(0);
  const [brush, setBrush] = useState<Brush>({ size: Math.ceil(Math.min(source.width, source.height) / 8) });
  const [isSaving, setSaving] = useState(false);
  const { width, height } = maskSize(source);
  const { operations, feather } = draft;

  useLayoutEffect(() => {
    openDraft().then(setDraft, () => fault.value = "The server no longer has the mask: paint it again");
  }, []);
  useLayoutEffect(() => {
    const context = contextOf(canvas.current);
    drawAll(context, operations);
    setShare(paintedShare(context));
  }, [operations]);

  const apply = (operation: Operation): void => {
    setDraft({ ...draft, operations: [...operations, operation] });
    setUndone([]);
  };
  const undo = (): void => {
    const last = operations.at(-1);
    if (!last) return;
    setDraft({ ...draft, operations: operations.slice(0, -1) });
    setUndone([...undone, last]);
  };
  const redo = (): void => {
    const last = undone.at(-1);
    if (!last) return;
    setDraft({ ...draft, operations: [...operations, last] });
    setUndone(undone.slice(0, -1));
  };
  const save = async (): Promise<void> => {
    setSaving(true);
    const isSaved = await saveMask(contextOf(canvas.current), draft);
    setSaving(false);
    if (isSaved) isMasking.value = false;
  };
  const close = (): void => {
    keepDraft(draft);
    isMasking.value = false;
  };
  const actions = { apply, undo, redo, setBrush, canUndo: operations.length > 0, canRedo: undone.length > 0 };
  useShortcuts(brush, actions);
  const painting = usePainting(canvas, brush, operations, apply);
  const across = `${100 * brush.size / width}%`;
  return html`
    <dialog class="masking" ref=${dialog} onClose=${close} aria-label="Paint over the area to change">
      <div class="easel">
        <div class="paper" style=${`--ratio: ${width / height}`}>
          <img src=${pictureUrl({ artifact: source.artifact, image: 0 })} alt="" draggable=${false} />
          <canvas ref=${canvas} id="mask" width=${width} height=${height} tabindex="0" role="img"
            aria-label=${`Mask: move the brush with the arrow keys, paint with Space. ${said(share)}`}
            style=${feather > 0 ? `filter: blur(${100 * feather / width}cqw)` : ""} ...${painting
              .handlers}></canvas>
          <i class=${`brush ${brush.erases ? "erases" : ""}`} ref=${painting.cursor} aria-hidden="true"
            style=${`width: ${across}`}></i>
        </div>
      </div>
      <${MaskTools} brush=${brush} actions=${actions} feather=${feather}
        onFeather=${(feather: number) => setDraft({ ...draft, feather })} />
      <footer>
        <p role="status">${said(share)}</p>
        <button type="button" class="button" onClick=${() => dialog.current?.close()}>Cancel</button>
        <button type="button" class="button chosen" id="use-mask" disabled=${isSaving}
          onClick=${save}>Use this mask</button>
      </footer>
    </dialog>
  ` as VNode;
}

function said(share: number): string {
  if (share === 0) return "Paint over the area to change.";
  return `${share < 0.01 ? "Less than 1" : Math.round(100 * share)} % of the picture will change.`;
}

function contextOf(canvas: HTMLCanvasElement | null): CanvasRenderingContext2D {
  const context = canvas?.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("The browser does not support the canvas that painting needs");
  return context;
}
