import assert from "node:assert/strict";
import { open } from "../../local.ts";
import { goldenPath } from "../goldens.ts";
import { adapterPath, invalidPath } from "../stages/lora_cases.ts";

const REQUEST = { prompt: "cat", steps: 2, width: 64, height: 64, resolutionBinning: false };

Deno.test("the library accepts LoRAs, plans their memory, and refuses unusable ones", async () => {
  await using pix = await open({ store: false, model: goldenPath("checkpoints/tiny-alpha-512") });
  const loras = [{ name: adapterPath("kohya-a"), weight: 0.5 }, { name: adapterPath("peft-all-a") }];
  const [plain] = await pix.generate(REQUEST);
  const [adapted] = await pix.generate({ ...REQUEST, loras });
  assert.notDeepEqual(adapted!.pixels.data, plain!.pixels.data);
  const peak = async (request: object) => {
    const { stages } = await pix.plan({ ...REQUEST, ...request });
    return stages.find(({ stage }) => stage === "denoise")!.predictedPeak;
  };
  assert(await peak({ loras }) > await peak({}));
  const refused = { code: "invalid_adapter", fault: "caller", details: { field: "loras" } };
  await assert.rejects(pix.generate({ ...REQUEST, loras: [{ name: invalidPath("dora") }] }), refused);
});
