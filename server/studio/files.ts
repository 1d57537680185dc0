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
import formView from "./page/form_view.ts" with { type: "text" };
import graphView from "./page/graph_view.ts" with { type: "text" };
import historyView from "./page/history_view.ts" with { type: "text" };
import html from "./page/html.ts" with { type: "text" };
import main from "./page/main.ts" with { type: "text" };
import run from "./page/run.ts" with { type: "text" };
import runView from "./page/run_view.ts" with { type: "text" };
import server from "./page/server.ts" with { type: "text" };
import state from "./page/state.ts" with { type: "text" };
import theme from "./page/theme.ts" with { type: "text" };
import page from "./page/page.html" with { type: "text" };
import style from "./page/style.css" with { type: "text" };

/** The page. */
export const PAGE: string = page;

/** Its style. */
export const STYLE: string = style;

/** Its scripts, by name. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  "form_view.ts": formView,
  "graph_view.ts": graphView,
  "history_view.ts": historyView,
  "html.ts": html,
  "main.ts": main,
  "run.ts": run,
  "run_view.ts": runView,
  "server.ts": server,
  "state.ts": state,
  "theme.ts": theme,
};

/** The libraries that its scripts import, by name. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  preact,
  "preact/hooks": hooks,
  htm,
  "@preact/signals": signals,
  "@preact/signals-core": signalsCore,
};
