/// <reference lib="dom" />
/**
 * The page: accepts a prompt, shows progress and the picture. Its address can set options:
 * `?prompt=red+car&seed=7&steps=4`.
 *
 * @module
 */

import type { Answer, Order } from "./messages.ts";

const worker = new Worker("worker.js", { type: "module" }) as Omit<Worker, "postMessage"> & {
  postMessage(order: Order): void;
};
const form = document.querySelector("form")!;
const button = form.querySelector("button")!;
const prompt = form.querySelector("input")!;
const status = document.querySelector("#status")!;
const progress = document.querySelector("progress")!;
const canvas = document.querySelector("canvas")!;
const asked = new URLSearchParams(location.search);
prompt.value = asked.get("prompt") ?? prompt.value;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  button.disabled = true;
  status.textContent = "Starting …";
  const seed = Number(asked.get("seed") ?? 0);
  const steps = asked.has("steps") ? Number(asked.get("steps")) : undefined;
  worker.postMessage({ prompt: prompt.value, seed, steps });
});

worker.addEventListener("message", ({ data: answer }: MessageEvent<Answer>) => {
  switch (answer.type) {
    case "event": {
      const { event } = answer;
      if (event.type !== "step") return;
      status.textContent = `${event.stage}: ${event.step} of ${event.steps}`;
      progress.max = event.steps;
      progress.value = event.step;
      return;
    }
    case "picture": {
      const { picture, seconds } = answer;
      canvas.width = picture.width;
      canvas.height = picture.height;
      const data = new ImageData(new Uint8ClampedArray(picture.data), picture.width);
      canvas.getContext("2d")!.putImageData(data, 0, 0);
      status.textContent = `Made in ${seconds.toFixed(1)} s`;
      break;
    }
    case "fault":
      status.textContent = answer.message;
  }
  button.disabled = false;
});
