/// <reference lib="dom" />
/**
 * The studio page.
 *
 * @module
 */

import { render, type VNode } from "preact";
import { FormView } from "./form_view.ts";
import { CompareView, HistoryView } from "./history_view.ts";
import { html } from "./html.ts";
import { begin } from "./run.ts";
import { RunView } from "./run_view.ts";
import { fault, needsKey } from "./state.ts";
import { ThemeButton } from "./theme.ts";

/** The page. */
function Studio(): VNode {
  return html`
    <header class="top">
      <h1><span class="mark" aria-hidden="true"></span>pixstage <small>studio</small></h1>
      <nav aria-label="More">
        <a href="reference">API</a>
        <${ThemeButton} />
      </nav>
    </header>
    ${needsKey.value
      ? html`<${KeyForm} />`
      : fault.value && html`<p class="note fault top-note" role="alert">${fault.value}</p>`}
    <main>
      <${FormView} />
      <${RunView} />
      <${HistoryView} />
    </main>
    <${CompareView} />
  ` as VNode;
}

/** Asks for the server's key. It goes into a cookie, as pictures and streams can carry nothing else. */
function KeyForm(): VNode {
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault();
    const key = new FormData(event.currentTarget as HTMLFormElement).get("key");
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const { pathname } = new URL(".", document.baseURI);
    document.cookie = `pixstage_key=${
      encodeURIComponent(String(key))
    }; SameSite=Strict; Path=${pathname}${secure}`;
    location.reload();
  };
  return html`
    <form class="note key" onSubmit=${onSubmit}>
      <label>This server asks for its API key: <input name="key" type="password" autocomplete="current-password" required /></label>
      <button class="button">Go</button>
    </form>
  ` as VNode;
}

render(html`<${Studio} />`, document.getElementById("studio")!);
begin();
