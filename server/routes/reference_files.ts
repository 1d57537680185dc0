/**
 * What the page that shows the OpenAPI document is made of.
 *
 * @module
 */

import bundle from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "text" };
import css from "swagger-ui-dist/swagger-ui.css" with { type: "text" };

/** Its script. */
export const BUNDLE: string = bundle;

/** Its style. */
export const STYLE: string = css;
