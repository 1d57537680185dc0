/**
 * Files of the page that displays the OpenAPI document.
 *
 * @module
 */

import bundle from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "text" };
import css from "swagger-ui-dist/swagger-ui.css" with { type: "text" };

/** The page's script. */
export const BUNDLE: string = bundle;

/** The page's style sheet. */
export const STYLE: string = css;
