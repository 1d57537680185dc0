/// <reference lib="dom" />
/**
 * A small picture of the store, tinted where it is repainted.
 *
 * @module
 */

import type { VNode } from "preact";
import { html } from "./html.ts";
import { pictureUrl } from "./server.ts";

interface MaskedProps {
  readonly artifact: string;
  /** The artifact that is white where the picture is repainted. */
  readonly mask?: string | undefined;
  readonly alt: string;
  /** The store does not have the picture any more. */
  readonly onGone?: (() => void) | undefined;
}

/** A small picture, tinted where it is repainted. */
export function Masked({ artifact, mask, alt, onGone }: MaskedProps): VNode {
  const url = (id: string): string => pictureUrl({ artifact: id, image: 0 }, { thumbnail: "256" });
  return html`
    <span class="masked">
      <img src=${url(artifact)} alt=${alt} onError=${onGone} />
      ${mask && html`<i style=${`mask-image: url("${url(mask)}")`} aria-hidden="true"></i>`}
    </span>
  ` as VNode;
}
