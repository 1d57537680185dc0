/// <reference lib="dom" />
/**
 * Asks for the server's API key.
 *
 * @module
 */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { VNode } from "preact";
import { html } from "./html.ts";
import { begin } from "./queue.ts";
import { capabilities, ServerError, urlOf } from "./server.ts";
import { needsKey } from "./state.ts";

/**
 * A form for the key. The key goes into a cookie, because requests for images and event streams carry no
 * other credentials.
 */
export function KeyForm(): VNode {
  const field = useRef<HTMLInputElement>(null);
  const [refusal, setRefusal] = useState("");
  const [isAsking, setAsking] = useState(false);
  useLayoutEffect(() => field.current?.focus(), []);
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setAsking(true);
    setCookie(encodeURIComponent(field.current?.value.trim() ?? ""));
    try {
      await capabilities();
      needsKey.value = false;
      begin();
    } catch (error) {
      const isWrong = error instanceof ServerError && error.code === "invalid_api_key";
      if (isWrong) setCookie("", 0);
      setRefusal(
        isWrong
          ? "The server refused this key. Its operator sets the key as PIXSTAGE_API_KEY."
          : error instanceof Error
          ? error.message
          : String(error),
      );
      setAsking(false);
      field.current?.select();
    }
  };
  return html`
    <form class="note key" onSubmit=${onSubmit}>
      <label for="key">This server asks for its API key:</label>
      <input id="key" name="key" ref=${field} type="password" autocomplete="current-password" required
        aria-invalid=${refusal !== ""} aria-describedby="key-refusal" onInput=${() => setRefusal("")} />
      <button class="button" disabled=${isAsking}>Go</button>
      <p id="key-refusal" class="refusal" role="alert">${refusal}</p>
    </form>
  ` as VNode;
}

function setCookie(value: string, seconds?: number): void {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const age = seconds === undefined ? "" : `; Max-Age=${seconds}`;
  const { pathname } = new URL(urlOf("."));
  document.cookie = `pixstage_key=${value}; SameSite=Strict; Path=${pathname}${secure}${age}`;
}
