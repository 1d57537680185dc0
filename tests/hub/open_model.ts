/**
 * A process that opens a whole model like a run: configurations, tokenizer and weights.
 *
 * @module
 */

import { LocalModels } from "../../hub/local_models.ts";

const checkpoint = await new LocalModels().open({ model: Deno.args[0]! });
await checkpoint.scheduler();
await checkpoint.tokenizer();
for (const name of checkpoint.components) await (await checkpoint.component(name)).weights();
