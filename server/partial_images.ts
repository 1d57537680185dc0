import type { RunEvent } from "../graph/events.ts";

/** Event name prefixes of the OpenAI API, for generated and for edited pictures. */
export type PictureEvents = "image_generation" | "image_edit";

/** A preview in the format of the OpenAI API. */
export interface PartialImage {
  readonly type: `${PictureEvents}.partial_image`;
  readonly b64_json: string;
  readonly partial_image_index: number;
  readonly created_at: number;
  readonly size: string;
  readonly quality: "auto";
  readonly background: "opaque";
  readonly output_format: "png";
}

/** Selects as many of a run's previews as the client asked for, spread evenly over its steps. */
export class PartialImages {
  #wanted: number;
  #events: PictureEvents;
  #steps = 0;
  #sent = new Map<number, number>();

  /**
   * @param wanted Number of previews per picture.
   * @param events Name prefix of the stream's events.
   */
  constructor(wanted: number, events: PictureEvents) {
    this.#events = events;
    this.#wanted = wanted;
  }

  /** Takes the next event of the run, and returns the preview to send, if one is due. */
  take(event: RunEvent): PartialImage | undefined {
    if (event.type === "step") this.#steps = event.steps / event.images;
    if (event.type !== "preview") return undefined;
    const sent = this.#sent.get(event.image) ?? 0;
    if (sent >= this.#wanted || event.step < this.#steps * (sent + 1) / (this.#wanted + 1)) return undefined;
    this.#sent.set(event.image, sent + 1);
    return {
      type: `${this.#events}.partial_image`,
      b64_json: event.png,
      partial_image_index: sent,
      created_at: Math.floor(Date.now() / 1000),
      size: `${event.width}x${event.height}`,
      quality: "auto",
      background: "opaque",
      output_format: "png",
    };
  }
}
