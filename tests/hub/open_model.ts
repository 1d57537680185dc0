/**
 * A process that opens all of a model as a run does: its configurations, its tokenizer and its weights.
 *
 * @module
 */

import { LocalModels } from "../../hub/local_models.ts";

const checkpoint = await new LocalModels().open({ model: Deno.args[0]! });
await checkpoint.scheduler();
await checkpoint.tokenizer();
for (const name of checkpoint.components) await (await checkpoint.component(name)).weights();
