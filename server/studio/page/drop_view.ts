/// <reference lib="dom" />
/**
 * Accepts picture files that are dropped on the page, pasted into it or chosen.
 *
 * @module
 */

import { useLayoutEffect, useState } from "preact/hooks";
import type { VNode } from "preact";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { receive } from "./received.ts";

/** The overlay shown while a file is dragged over the page. */
export function DropTarget(): VNode | null {
  const [isOver, setOver] = useState(false);
  useLayoutEffect(() => {
    const listening = new AbortController();
    const options = { signal: listening.signal };
    // Ignore drags of the page's own pictures, which are not files of the user.
    let isOwn = false;
    document.addEventListener("dragstart", () => isOwn = true, options);
    document.addEventListener("dragend", () => isOwn = false, options);
    const hasFiles = ({ dataTransfer }: DragEvent): boolean =>
      !isOwn && (dataTransfer?.types.includes("Files") ?? false);
    document.addEventListener("dragover", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(true);
    }, options);
    document.addEventListener(
      "dragleave",
      ({ relatedTarget }) => relatedTarget === null && setOver(false),
      options,
    );
    document.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setOver(false);
      const [file] = event.dataTransfer?.files ?? [];
      if (file) receive(file);
    }, options);
    document.addEventListener("paste", (event) => {
      const { clipboardData } = event;
      const file = [...clipboardData?.files ?? []].find(({ type }) => type.startsWith("image/"));
      // Office programs put a picture of the text next to it in the clipboard. Then the text counts.
      if (!file || clipboardData?.types.includes("text/plain")) return;
      event.preventDefault();
      receive(file);
    }, options);
    return () => listening.abort();
  }, []);
  if (!isOver) return null;
  return html`
    <div class="drop" aria-hidden="true">
      <p>Drop a picture to start from it or to restore its settings</p>
    </div>
  ` as VNode;
}

/** Properties of {@linkcode PictureChooser}. */
interface ChooserProps {
  readonly id: string;
  readonly label: string;
  readonly hint?: string | undefined;
  readonly onFile: (file: File) => void;
}

/** A field that accepts a picture file. */
export function PictureChooser({ id, label, hint, onFile }: ChooserProps): VNode {
  const onChange = ({ currentTarget }: Event): void => {
    if (!(currentTarget instanceof HTMLInputElement)) return;
    const [file] = currentTarget.files ?? [];
    if (file) onFile(file);
    currentTarget.value = "";
  };
  return html`
    <label class="chooser">
      <${Icon} name="picture" /><span>${label}${hint && html`<small>${hint}</small>`}</span>
      <input type="file" id=${id} accept="image/png,image/jpeg,image/webp" onChange=${onChange} />
    </label>
  ` as VNode;
}
