/// <reference lib="dom" />
/**
 * The state of the page.
 *
 * @module
 */

import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Capabilities, Job, Lora, Model, Picture, QueueReply } from "./types.ts";

/** The fields of the form. */
export interface Form {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number;
  readonly scheduler: string;
  /** A whole number; empty for a random seed. */
  readonly seed: string;
  readonly count: number;
  /** The picture to start from; null to start from noise. */
  readonly source: StoredPicture | null;
  /** The part of it to repaint; null for all of it. */
  readonly mask: Mask | null;
  /** The strength of the edit; null for the server's default. */
  readonly strength: number | null;
  /** LoRA adapters with their weights. */
  readonly loras: readonly ChosenLora[];
  /** The ControlNet; empty for none. */
  readonly controlnet: string;
  /** The control picture. */
  readonly control: StoredPicture | null;
  readonly controlScale: number;
  /** The part of the steps that follow the ControlNet. */
  readonly controlled: Interval;
  /** The scale of perturbed attention guidance; 0 for none. */
  readonly pag: number;
  /** The part of the steps that use guidance. */
  readonly guided: Interval;
  /** The threshold of the step cache; 0 for none. */
  readonly stepCache: number;
}

/** A part of the steps, from 0 to 1. */
export type Interval = readonly [start: number, end: number];

/** A picture in the server's store. */
export interface StoredPicture {
  /** The id of its artifact. */
  readonly artifact: string;
  readonly name: string;
  readonly width: number;
  readonly height: number;
}

/** The mask of a picture. */
export interface Mask {
  /** Id of its artifact. White areas are repainted. */
  readonly artifact: string;
  /** Whether grey areas are partly repainted. */
  readonly isSoft: boolean;
}

/** A chosen LoRA adapter. */
export interface ChosenLora {
  readonly name: string;
  readonly weight: number;
}

/** Progress of a node of the graph. */
export interface NodeState {
  readonly status: "waiting" | "running" | "done" | "cached" | "failed";
  /** Steps done and total steps, over all pictures. */
  readonly step?: number | undefined;
  readonly steps?: number | undefined;
  /** The picture being denoised, if there are several. */
  readonly picture?: PictureSteps | undefined;
  /** The first observed step, and the run's milliseconds at that time. */
  readonly pace?: { readonly step: number; readonly ms: number } | undefined;
  /** Estimated milliseconds until the node is done, at the pace so far. */
  readonly leftMs?: number | undefined;
  readonly loading?: string | undefined;
  readonly ms?: number | undefined;
}

/** Progress of one picture of several. */
export interface PictureSteps {
  /** Index of the picture, from 0, and the number of pictures. */
  readonly image: number;
  readonly images: number;
  /** The picture's finished steps, and all its steps. */
  readonly step: number;
  readonly steps: number;
}

/** A run as the page shows it. */
export interface Run {
  readonly job: Job;
  readonly status: Job["status"];
  readonly nodes: Readonly<Record<string, NodeState>>;
  /** The latest preview of each picture. */
  readonly previews: Readonly<Record<number, { readonly png: string; readonly share: number }>>;
  /** Current and peak resident memory, in bytes. */
  readonly memory?: { readonly now: number; readonly peak: number };
  readonly warnings: readonly string[];
  readonly message?: string | undefined;
  /** Milliseconds since the run started. */
  readonly elapsedMs: number;
}

const FORM_KEY = "pixstage-form";

/** The initial form. The model's defaults replace some of it. */
const EMPTY_FORM: Form = {
  prompt: "",
  negativePrompt: "",
  model: "",
  width: 512,
  height: 512,
  steps: 20,
  guidance: 4.5,
  scheduler: "",
  seed: "",
  count: 1,
  source: null,
  mask: null,
  strength: null,
  loras: [],
  controlnet: "",
  control: null,
  controlScale: 1,
  controlled: [0, 1],
  pag: 0,
  guided: [0, 1],
  stepCache: 0,
};

/** The models, adapters and limits that the server offers. */
export const offered: Signal<Capabilities> = signal({
  models: [],
  decoders: [],
  schedulers: [],
  controlnets: [],
  loras: [],
  limits: {},
});
/** The form. */
export const form: Signal<Form> = signal<Form>(savedForm());
/** The shown run. */
export const run: Signal<Run | undefined> = signal<Run>();
/** Index of the chosen picture of the run, from 0. */
export const chosenImage: Signal<number> = signal(0);
/** The running and waiting jobs. */
export const queue: Signal<QueueReply["jobs"]> = signal<QueueReply["jobs"]>([]);
/** The jobs of the queue that the page has loaded, by id. */
export const queuedJobs: Signal<ReadonlyMap<string, Job>> = signal(new Map());
/** Finished jobs, the newest first. */
export const history: Signal<readonly Job[]> = signal<readonly Job[]>([]);
/** Whether there are older finished jobs. */
export const hasOlder: Signal<boolean> = signal(false);
/** Failed and cancelled jobs, the newest first. */
export const stopped: Signal<readonly Job[]> = signal<readonly Job[]>([]);
/** Error message for the user. */
export const fault: Signal<string> = signal("");
/** A sentence about the page's last action. */
export const notice: Signal<string> = signal("");
/** Whether an order is being sent. */
export const isOrdering: Signal<boolean> = signal(false);
/** Whether the connection to the server is lost. */
export const isLost: Signal<boolean> = signal(false);
/** Whether the server requires a key. */
export const needsKey: Signal<boolean> = signal(false);
/** The pictures being compared. */
export const compared: Signal<readonly Picture[]> = signal<readonly Picture[]>([]);
/** The picture shown in full size. */
export const zoomed: Signal<Picture | undefined> = signal<Picture>();

/** Whether the shown run is unfinished. */
export const isBusy: ReadonlySignal<boolean> = computed(() => {
  const status = run.value?.status;
  return status === "queued" || status === "running";
});

/** The model chosen in the form. */
export const chosenModel: ReadonlySignal<Model | undefined> = computed(() =>
  offered.value.models.find(({ id }) => id === form.value.model)
);

/** Changes the form. */
export function change(fields: Partial<Form>): void {
  form.value = { ...form.value, ...fields };
}

/** Returns the adapters that fit a model. */
export function fittingLoras(model: string): Lora[] {
  return offered.value.loras.filter(({ models }) => models.includes(model));
}

/** Returns the strength of the edit: the form's, else the server's default. */
export function strengthOf({ strength, mask }: Form): number {
  return strength ?? (mask ? 1 : 0.8);
}

/** Chooses a model, fills in its defaults, and removes adapters that do not fit it. */
export function chooseModel(id: string): void {
  const model = offered.value.models.find((candidate) => candidate.id === id);
  if (!model) return;
  const { width, height, steps, guidance_scale, negative_prompt } = model.defaults;
  change({
    model: id,
    width,
    height,
    steps,
    guidance: guidance_scale,
    scheduler: "",
    negativePrompt: negative_prompt,
    loras: form.value.loras.filter((lora) => fittingLoras(id).some(({ id }) => id === lora.name)),
  });
}

effect(() => {
  localStorage.setItem(FORM_KEY, JSON.stringify(form.value));
});

function savedForm(): Form {
  try {
    return { ...EMPTY_FORM, ...JSON.parse(localStorage.getItem(FORM_KEY) ?? "{}") };
  } catch {
    return EMPTY_FORM;
  }
}
