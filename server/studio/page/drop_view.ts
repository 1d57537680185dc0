/// <reference lib="dom" />
/**
 * Accepts picture files, dropped or chosen, for the settings in them.
 *
 * @module
 */

import { useLayoutEffect, useState } from "preact/hooks";
import type { VNode } from "preact";
import { restore } from "./dropped.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";

/** The overlay that is shown while a file is dragged over the page. */
export function DropTarget(): VNode | null {
  const [isOver, setOver] = useState(false);
  useLayoutEffect(() => {
    const listening = new AbortController();
    const options = { signal: listening.signal };
    const hasFiles = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes("Files") ?? false;
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
      if (file) restore(file);
    }, options);
    return () => listening.abort();
  }, []);
  if (!isOver) return null;
  return html`
    <div class="drop" aria-hidden="true">
      <p>Drop a picture to take its settings</p>
    </div>
  ` as VNode;
}

/** A file field that does the same without a mouse. */
export function PictureChooser(): VNode {
  const onChange = ({ currentTarget }: Event): void => {
    if (!(currentTarget instanceof HTMLInputElement)) return;
    const [file] = currentTarget.files ?? [];
    if (file) restore(file);
    currentTarget.value = "";
  };
  return html`
    <label class="button chooser" title="Take the settings of a PNG file. You can also drop it on the page.">
      <${Icon} name="open" />Settings from a picture…
      <input type="file" id="picture-file" accept="image/png" onChange=${onChange} />
    </label>
  ` as VNode;
}
