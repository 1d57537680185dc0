/// <reference lib="dom" />
/**
 * The mask editor's tools: brush, eraser, operations on the whole mask, and keyboard shortcuts.
 *
 * @module
 */

import type { VNode } from "preact";
import { useKeys } from "./dialog.ts";
import { html } from "./html.ts";
import { Icon, type IconName } from "./icons.ts";
import type { Operation } from "./mask_drawing.ts";
import { Slider } from "./slider.ts";

/** The brush or the eraser. */
export interface Brush {
  /** Diameter of the brush in pixels of the mask. */
  readonly size: number;
  readonly erases?: boolean | undefined;
}

/** The actions of the tools. */
export interface MaskActions {
  readonly apply: (operation: Operation) => void;
  readonly undo: () => void;
  readonly redo: () => void;
  readonly setBrush: (brush: Brush) => void;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
}

/** Maximum diameter of the brush, in pixels. */
const LARGEST = 400;

interface MaskToolsProps {
  readonly brush: Brush;
  readonly actions: MaskActions;
  readonly feather: number;
  readonly onFeather: (feather: number) => void;
}

/** The toolbar. */
export function MaskTools({ brush, actions, feather, onFeather }: MaskToolsProps): VNode {
  const { apply, undo, redo, setBrush, canUndo, canRedo } = actions;
  const tool = (name: "brush" | "eraser", label: string, erases: boolean): unknown =>
    html`
      <button type="button" class="button tool" id=${name} title=${label} aria-label=${label}
        aria-pressed=${(brush.erases ?? false) === erases} onClick=${() =>
          setBrush({ ...brush, erases })}><${Icon} name=${name} /></button>
    `;
  const action = (id: IconName, label: string, onClick: () => void, isOff = false): unknown =>
    html`
      <button type="button" class="button tool" id=${`mask-${id}`} title=${label} aria-label=${label}
        disabled=${isOff} onClick=${onClick}><${Icon} name=${id} /></button>
    `;
  return html`
    <div class="tools" role="toolbar" aria-label="Tools">
      <div class="group">${tool("brush", "Brush (B)", false)}${tool("eraser", "Eraser (E)", true)}</div>
      <${Slider} id="brush-size" label="Size" min=${1} max=${LARGEST} step=${1} value=${brush.size}
        onValue=${(size: number) => setBrush({ ...brush, size })} />
      <${Slider} id="feather" label="Soft edge" min=${0} max=${64} step=${1}
        value=${feather}
        onValue=${onFeather} />
      <div class="group">
        ${action("undo", "Undo (Ctrl Z)", undo, !canUndo)}
        ${action("redo", "Redo (Ctrl Shift Z)", redo, !canRedo)}
        ${action("invert", "Invert (I)", () => apply({ kind: "invert" }))}
        ${action("trash", "Clear", () => apply({ kind: "clear" }), !canUndo)}
      </div>
    </div>
  ` as VNode;
}

/** Handles the tools' keyboard shortcuts. */
export function useShortcuts(brush: Brush, { apply, undo, redo, setBrush }: MaskActions): void {
  const resize = (factor: number): void =>
    setBrush({ ...brush, size: Math.min(Math.max(Math.round(brush.size * factor), 1), LARGEST) });
  useKeys(true, (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (isCommand && (key === "y" || (key === "z" && event.shiftKey))) redo();
    else if (isCommand && key === "z") undo();
    else if (isCommand || event.altKey) return;
    else if (key === "b" || key === "e") setBrush({ ...brush, erases: key === "e" });
    else if (key === "i") apply({ kind: "invert" });
    else if (key === "[") resize(1 / 1.25);
    else if (key === "]") resize(1.25);
    else return;
    event.preventDefault();
  });
}
