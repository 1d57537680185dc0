/**
 * The files of the studio page, as texts.
 *
 * @module
 */

import signals from "@preact/signals" with { type: "text" };
import signalsCore from "@preact/signals-core" with { type: "text" };
import htm from "htm" with { type: "text" };
import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import main from "./page/main.ts" with { type: "text" };
import page from "./page/page.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };

/** The page. */
export const PAGE: string = page;

/** Its style. */
export const STYLE: string = style;

/** Its scripts, by name. */
export const SCRIPTS: Readonly<Record<string, string>> = { "main.ts": main };

/** The libraries that its scripts import, by name. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  preact,
  "preact/hooks": hooks,
  htm,
  "@preact/signals": signals,
  "@preact/signals-core": signalsCore,
};
