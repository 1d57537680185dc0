/// <reference lib="dom" />
/**
 * The studio page's entry point.
 *
 * @module
 */

import { render, type VNode } from "preact";
import { CompareView } from "./compare_view.ts";
import { DropTarget } from "./drop_view.ts";
import { FormView } from "./form_view.ts";
import { HistoryView } from "./history_view.ts";
import { html } from "./html.ts";
import { KeyForm } from "./key_view.ts";
import { MaskView } from "./mask_view.ts";
import { begin } from "./queue.ts";
import { QueueView, StoppedView } from "./queue_view.ts";
import { ReceivedView } from "./received_view.ts";
import { RunView } from "./run_view.ts";
import { urlOf } from "./server.ts";
import { fault, isLost, needsKey, notice } from "./state.ts";
import { ThemeButton } from "./theme.ts";
import { ZoomView } from "./zoom_view.ts";

/** The whole page. */
function Studio(): VNode {
  return html`
    <header class="top">
      <h1><span class="mark" aria-hidden="true"></span>pixstage <small>studio</small></h1>
      <nav aria-label="More">
        <a href=${urlOf("reference")}>API</a>
        <${ThemeButton} />
      </nav>
    </header>
    <${Messages} />
    <main>
      <${FormView} />
      <${RunView} />
      <div class="side">
        <${QueueView} />
        <${StoppedView} />
        <${HistoryView} />
      </div>
    </main>
    <${CompareView} />
    <${ZoomView} />
    <${ReceivedView} />
    <${MaskView} />
    <${DropTarget} />
  ` as VNode;
}

/**
 * Messages at the top of the page. A lost connection explains every other fault, so the others are hidden
 * then.
 */
function Messages(): VNode {
  return html`
    ${needsKey.value && html`<${KeyForm} />`}
    ${isLost.value && html`
      <p class="note fault top-note" id="lost" role="alert">
        The connection to the server is lost. The page reconnects when the server is back.
      </p>
    `}
    ${fault.value && !isLost.value && !needsKey.value && html`
      <p class="note fault top-note" id="fault" role="alert">${fault.value}</p>
    `}
    <p class=${notice.value ? "note top-note" : "unseen"} id="notice" role="status">${notice.value}</p>
  ` as VNode;
}

render(html`<${Studio} />`, document.getElementById("studio")!);
begin();
