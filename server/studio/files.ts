/**
 * The files of the studio page, as text.
 *
 * @module
 */

import signals from "@preact/signals" with { type: "text" };
import signalsCore from "@preact/signals-core" with { type: "text" };
import fflate from "fflate/browser" with { type: "text" };
import htm from "htm" with { type: "text" };
import preact from "preact" with { type: "text" };
import hooks from "preact/hooks" with { type: "text" };
import errorCodes from "../../errors/error_codes.ts" with { type: "text" };
import pixstageError from "../../errors/pixstage_error.ts" with { type: "text" };
import pngChunks from "../../images/png_chunks.ts" with { type: "text" };
import inflate from "../../images/inflate.ts" with { type: "text" };
import pngText from "../../images/png_text.ts" with { type: "text" };
import actionsView from "./page/actions_view.ts" with { type: "text" };
import advancedView from "./page/advanced_view.ts" with { type: "text" };
import attempt from "./page/attempt.ts" with { type: "text" };
import command from "./page/command.ts" with { type: "text" };
import compareView from "./page/compare_view.ts" with { type: "text" };
import controlView from "./page/control_view.ts" with { type: "text" };
import dialog from "./page/dialog.ts" with { type: "text" };
import download from "./page/download.ts" with { type: "text" };
import dropView from "./page/drop_view.ts" with { type: "text" };
import dropped from "./page/dropped.ts" with { type: "text" };
import formRequest from "./page/form_request.ts" with { type: "text" };
import formView from "./page/form_view.ts" with { type: "text" };
import furtherSettings from "./page/further_settings.ts" with { type: "text" };
import goOnView from "./page/go_on_view.ts" with { type: "text" };
import graph from "./page/graph.ts" with { type: "text" };
import graphView from "./page/graph_view.ts" with { type: "text" };
import history from "./page/history.ts" with { type: "text" };
import historyView from "./page/history_view.ts" with { type: "text" };
import html from "./page/html.ts" with { type: "text" };
import icons from "./page/icons.ts" with { type: "text" };
import keyView from "./page/key_view.ts" with { type: "text" };
import lorasView from "./page/loras_view.ts" with { type: "text" };
import main from "./page/main.ts" with { type: "text" };
import maskDrawing from "./page/mask_drawing.ts" with { type: "text" };
import maskEditor from "./page/mask_editor.ts" with { type: "text" };
import maskFeather from "./page/mask_feather.ts" with { type: "text" };
import maskPainting from "./page/mask_painting.ts" with { type: "text" };
import maskTools from "./page/mask_tools.ts" with { type: "text" };
import maskView from "./page/mask_view.ts" with { type: "text" };
import masked from "./page/masked.ts" with { type: "text" };
import partOfSteps from "./page/part_of_steps.ts" with { type: "text" };
import picturesView from "./page/pictures_view.ts" with { type: "text" };
import progressView from "./page/progress_view.ts" with { type: "text" };
import queue from "./page/queue.ts" with { type: "text" };
import queueView from "./page/queue_view.ts" with { type: "text" };
import received from "./page/received.ts" with { type: "text" };
import receivedView from "./page/received_view.ts" with { type: "text" };
import run from "./page/run.ts" with { type: "text" };
import runEvents from "./page/run_events.ts" with { type: "text" };
import runView from "./page/run_view.ts" with { type: "text" };
import server from "./page/server.ts" with { type: "text" };
import settings from "./page/settings.ts" with { type: "text" };
import settingsView from "./page/settings_view.ts" with { type: "text" };
import sizes from "./page/sizes.ts" with { type: "text" };
import slider from "./page/slider.ts" with { type: "text" };
import source from "./page/source.ts" with { type: "text" };
import sourceView from "./page/source_view.ts" with { type: "text" };
import state from "./page/state.ts" with { type: "text" };
import streams from "./page/streams.ts" with { type: "text" };
import theme from "./page/theme.ts" with { type: "text" };
import words from "./page/words.ts" with { type: "text" };
import zoomView from "./page/zoom_view.ts" with { type: "text" };
import page from "./page/page.html" with { type: "text" };
import baseStyle from "./page/style/base.css" with { type: "text" };
import controlsStyle from "./page/style/controls.css" with { type: "text" };
import formStyle from "./page/style/form.css" with { type: "text" };
import runStyle from "./page/style/run.css" with { type: "text" };
import picturesStyle from "./page/style/pictures.css" with { type: "text" };
import settingsStyle from "./page/style/settings.css" with { type: "text" };
import graphStyle from "./page/style/graph.css" with { type: "text" };
import sideStyle from "./page/style/side.css" with { type: "text" };
import sourceStyle from "./page/style/source.css" with { type: "text" };
import dialogsStyle from "./page/style/dialogs.css" with { type: "text" };
import maskStyle from "./page/style/mask.css" with { type: "text" };
import narrowStyle from "./page/style/narrow.css" with { type: "text" };

/** The page's HTML. */
export const PAGE: string = page;

/** The page's style sheet. */
export const STYLE: string = [
  baseStyle,
  controlsStyle,
  formStyle,
  runStyle,
  picturesStyle,
  settingsStyle,
  graphStyle,
  sideStyle,
  sourceStyle,
  dialogsStyle,
  maskStyle,
  narrowStyle,
].join("\n");

/** The page's scripts, by their paths in the repository, so that their relative imports work unchanged. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  "errors/error_codes.ts": errorCodes,
  "errors/pixstage_error.ts": pixstageError,
  "images/png_chunks.ts": pngChunks,
  "images/inflate.ts": inflate,
  "images/png_text.ts": pngText,
  "server/studio/page/actions_view.ts": actionsView,
  "server/studio/page/advanced_view.ts": advancedView,
  "server/studio/page/attempt.ts": attempt,
  "server/studio/page/command.ts": command,
  "server/studio/page/compare_view.ts": compareView,
  "server/studio/page/control_view.ts": controlView,
  "server/studio/page/dialog.ts": dialog,
  "server/studio/page/download.ts": download,
  "server/studio/page/drop_view.ts": dropView,
  "server/studio/page/dropped.ts": dropped,
  "server/studio/page/form_request.ts": formRequest,
  "server/studio/page/form_view.ts": formView,
  "server/studio/page/further_settings.ts": furtherSettings,
  "server/studio/page/go_on_view.ts": goOnView,
  "server/studio/page/graph.ts": graph,
  "server/studio/page/graph_view.ts": graphView,
  "server/studio/page/history.ts": history,
  "server/studio/page/history_view.ts": historyView,
  "server/studio/page/html.ts": html,
  "server/studio/page/icons.ts": icons,
  "server/studio/page/key_view.ts": keyView,
  "server/studio/page/loras_view.ts": lorasView,
  "server/studio/page/main.ts": main,
  "server/studio/page/mask_drawing.ts": maskDrawing,
  "server/studio/page/mask_editor.ts": maskEditor,
  "server/studio/page/mask_feather.ts": maskFeather,
  "server/studio/page/mask_painting.ts": maskPainting,
  "server/studio/page/mask_tools.ts": maskTools,
  "server/studio/page/mask_view.ts": maskView,
  "server/studio/page/masked.ts": masked,
  "server/studio/page/part_of_steps.ts": partOfSteps,
  "server/studio/page/pictures_view.ts": picturesView,
  "server/studio/page/progress_view.ts": progressView,
  "server/studio/page/queue.ts": queue,
  "server/studio/page/queue_view.ts": queueView,
  "server/studio/page/received.ts": received,
  "server/studio/page/received_view.ts": receivedView,
  "server/studio/page/run.ts": run,
  "server/studio/page/run_events.ts": runEvents,
  "server/studio/page/run_view.ts": runView,
  "server/studio/page/server.ts": server,
  "server/studio/page/settings.ts": settings,
  "server/studio/page/settings_view.ts": settingsView,
  "server/studio/page/sizes.ts": sizes,
  "server/studio/page/slider.ts": slider,
  "server/studio/page/source.ts": source,
  "server/studio/page/source_view.ts": sourceView,
  "server/studio/page/state.ts": state,
  "server/studio/page/streams.ts": streams,
  "server/studio/page/theme.ts": theme,
  "server/studio/page/words.ts": words,
  "server/studio/page/zoom_view.ts": zoomView,
};

/** The libraries that the scripts import, by name. */
export const LIBRARIES: Readonly<Record<string, string>> = {
  preact,
  "preact/hooks": hooks,
  htm,
  fflate,
  "@preact/signals": signals,
  "@preact/signals-core": signalsCore,
};
