/**
 * A stage that puts a striped mark into a corner of every picture.
 *
 * @module
 */

import { z } from "zod";
import { defineStage, type Tensor, tensor } from "../../mod.ts";

export default defineStage({
  name: "watermark",
  version: "1",
  description: "Marks pictures in their lower right corner.",
  inputs: { image: { kind: "image", description: "Pictures [n, 3, height, width], about -1 to 1." } },
  outputs: { image: { kind: "image", description: "The same pictures, marked." } },
  parameters: z.strictObject({
    /** The sides of the mark, as a fraction of the picture's shorter side. */
    size: z.number().min(0).max(1).default(0.2),
    /** The opacity of the mark, from 0 to 1. */
    opacity: z.number().min(0).max(1).default(0.5),
  }),
  async run({ parameters: { size, opacity }, inputs, signal, report }) {
    const image = inputs.image.tensors["image"] as Tensor<"float32">;
    const [images = 0, channels = 0, height = 0, width = 0] = image.shape;
    const side = Math.round(Math.min(height, width) * size);
    const data = image.data.slice();
    for (let index = 0; index < images; index++) {
      // 1. Stop when the user stops: yielding to the event loop lets the signal arrive.
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
      // 2. Do the work.
      for (let channel = 0; channel < channels; channel++) {
        for (let y = height - side; y < height; y++) {
          for (let x = width - side; x < width; x++) {
            const at = ((index * channels + channel) * height + y) * width + x;
            const stripe = (x + y) % 8 < 4 ? 1 : -1;
            data[at] = (1 - opacity) * data[at]! + opacity * stripe;
          }
        }
      }
      // 3. Report progress.
      report({ type: "step", step: index + 1, steps: images, image: index, images });
    }
    return { image: { ...inputs.image, tensors: { image: tensor("float32", image.shape, data) } } };
  },
});
