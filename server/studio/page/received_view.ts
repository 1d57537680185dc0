/// <reference lib="dom" />
/**
 * Asks what to do with a picture file.
 *
 * @module
 */

import { useEffect, useState } from "preact/hooks";
import type { VNode } from "preact";
import { useModal } from "./dialog.ts";
import { restore } from "./dropped.ts";
import { html } from "./html.ts";
import { type Received, received } from "./received.ts";
import { beginFrom, follow } from "./source.ts";
import { offered } from "./state.ts";

/** The dialog for a received file. */
export function ReceivedView(): VNode | null {
  const { value } = received;
  return value ? html`<${Question} key=${value.file} received=${value} />` as VNode : null;
}

function Question({ received: { file, settings } }: { readonly received: Received }): VNode {
  const dialog = useModal(true);
  const url = useObjectUrl(file);
  const decide = (work: () => unknown): void => {
    received.value = undefined;
    work();
  };
  const { name } = file;
  return html`
    <dialog class="received" ref=${dialog} aria-labelledby="received-title"
      onClose=${() => received.value = undefined}>
      <img src=${url} alt="" />
      <div class="choices">
        <h2 id="received-title">${name}</h2>
        ${settings?.prompt && html`<p class="hint said">“${settings.prompt}”</p>`}
        <button type="button" class="button" id="start-from"
          onClick=${() => decide(() => beginFrom(file, name))}>
          <strong>Start from this picture</strong><small>Change all of it, or only an area that you paint over</small>
        </button>
        ${offered.value.controlnets.length > 0 && html`
          <button type="button" class="button" id="follow" onClick=${() => decide(() => follow(file, name))}>
            <strong>Follow this picture</strong><small>A ControlNet follows its lines</small>
          </button>
        `}
        ${settings && html`
          <button type="button" class="button" id="restore" onClick=${() =>
            decide(() => restore(settings, name))}>
            <strong>Restore its settings</strong><small>Fill in the form with its prompt, seed, size and all other settings</small>
          </button>
        `}
        <button type="button" class="button quiet" onClick=${() => dialog.current?.close()}>Cancel</button>
      </div>
    </dialog>
  ` as VNode;
}

/** Returns an object URL of a file. The URL is revoked when the file is no longer shown. */
function useObjectUrl(file: File): string | undefined {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}
