/// <reference lib="dom" />
/**
 * A thumbnail of a stored picture. The area to be repainted is tinted.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { pictureUrl } from "./server.ts";

interface MaskedProps {
  readonly artifact: string;
  /** Id of the mask artifact, which is white where the picture is repainted. */
  readonly mask?: string | undefined;
  readonly alt: string;
  /** Called if the store no longer has the picture. */
  readonly onGone?: (() => void) | undefined;
}

/** A thumbnail, tinted where it is repainted. */
export function Masked({ artifact, mask, alt, onGone }: MaskedProps): VNode {
  const url = (id: string): string => pictureUrl({ artifact: id, image: 0 }, { thumbnail: "256" });
  return html`
    <span class="masked">
      <img src=${url(artifact)} alt=${alt} onError=${onGone} />
      ${mask && html`<i style=${`mask-image: url("${url(mask)}")`} aria-hidden="true"></i>`}
    </span>
  ` as VNode;
}
