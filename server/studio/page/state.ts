/// <reference lib="dom" />
/**
 * What the page knows.
 *
 * @module
 */

import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Capabilities, Job, Lora, Model, Picture, QueueReply } from "./types.ts";

/** What the form asks for. */
export interface Form {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number;
  readonly scheduler: string;
  /** A whole number; empty for one by chance. */
  readonly seed: string;
  readonly count: number;
  /** The picture to begin from; null for noise alone. */
  readonly source: StoredPicture | null;
  /** What of it is repainted; null for all. */
  readonly mask: Mask | null;
  /** How far it is changed; null for the server's default. */
  readonly strength: number | null;
  /** LoRA adapters with their weights. */
  readonly loras: readonly ChosenLora[];
  /** A ControlNet; empty for none. */
  readonly controlnet: string;
  /** The picture that it follows. */
  readonly control: StoredPicture | null;
  readonly controlScale: number;
  /** The part of the steps that follow it. */
  readonly controlled: Interval;
  /** The scale of perturbed attention guidance; 0 for none. */
  readonly pag: number;
  /** The part of the steps that are guided. */
  readonly guided: Interval;
  /** The threshold of the step cache; 0 for none. */
  readonly stepCache: number;
}

/** A part of the steps, from 0 to 1. */
export type Interval = readonly [start: number, end: number];

/** A picture that the server's store holds. */
export interface StoredPicture {
  /** The id of its artifact. */
  readonly artifact: string;
  readonly name: string;
  readonly width: number;
  readonly height: number;
}

/** What is repainted of a picture. */
export interface Mask {
  /** The id of its artifact: white is repainted. */
  readonly artifact: string;
  /** Whether greys repaint in part. */
  readonly isSoft: boolean;
}

/** A LoRA adapter that is chosen. */
export interface ChosenLora {
  readonly name: string;
  readonly weight: number;
}

/** How far a node of the graph is. */
export interface NodeState {
  readonly status: "waiting" | "running" | "done" | "cached" | "failed";
  /** Steps done and steps in all, over all pictures. */
  readonly step?: number | undefined;
  readonly steps?: number | undefined;
  /** The picture that is denoised, where there are several. */
  readonly picture?: PictureSteps | undefined;
  /** The first step that was seen, and the milliseconds of the run then. */
  readonly pace?: { readonly step: number; readonly ms: number } | undefined;
  /** Milliseconds until the node is done, at the pace so far. */
  readonly leftMs?: number | undefined;
  readonly loading?: string | undefined;
  readonly ms?: number | undefined;
}

/** How far one picture of several is. */
export interface PictureSteps {
  /** Which picture, from 0, and how many there are. */
  readonly image: number;
  readonly images: number;
  /** Its steps done, and its steps in all. */
  readonly step: number;
  readonly steps: number;
}

/** A run that the page looks at. */
export interface Run {
  readonly job: Job;
  readonly status: Job["status"];
  readonly nodes: Readonly<Record<string, NodeState>>;
  /** The newest preview of each picture. */
  readonly previews: Readonly<Record<number, { readonly png: string; readonly share: number }>>;
  /** Bytes that are resident now, and the most there were. */
  readonly memory?: { readonly now: number; readonly peak: number };
  readonly warnings: readonly string[];
  readonly message?: string | undefined;
  /** Milliseconds since the run began. */
  readonly elapsedMs: number;
}

const FORM_KEY = "pixstage-form";

/** A first form: what the defaults of the model leave open. */
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

/** What there is to choose from. */
export const offered: Signal<Capabilities> = signal({
  models: [],
  decoders: [],
  schedulers: [],
  controlnets: [],
  loras: [],
  limits: {},
});
/** What the form asks for. */
export const form: Signal<Form> = signal<Form>(savedForm());
/** The run that is shown. */
export const run: Signal<Run | undefined> = signal<Run>();
/** Which picture of the run is chosen, from 0. */
export const chosenImage: Signal<number> = signal(0);
/** The jobs that run and wait. */
export const queue: Signal<QueueReply["jobs"]> = signal<QueueReply["jobs"]>([]);
/** Jobs of the queue by id, as far as the page knows them. */
export const queuedJobs: Signal<ReadonlyMap<string, Job>> = signal(new Map());
/** Finished jobs, the newest first. */
export const history: Signal<readonly Job[]> = signal<readonly Job[]>([]);
/** Whether there are older ones. */
export const hasOlder: Signal<boolean> = signal(false);
/** Jobs that failed or were cancelled, the newest first. */
export const stopped: Signal<readonly Job[]> = signal<readonly Job[]>([]);
/** What went wrong, for people. */
export const fault: Signal<string> = signal("");
/** What the page did, as a sentence. */
export const notice: Signal<string> = signal("");
/** Whether an order is being sent. */
export const isOrdering: Signal<boolean> = signal(false);
/** Whether the connection to the server is lost. */
export const isLost: Signal<boolean> = signal(false);
/** Whether the server asks for a key. */
export const needsKey: Signal<boolean> = signal(false);
/** The pictures that are compared. */
export const compared: Signal<readonly Picture[]> = signal<readonly Picture[]>([]);
/** The picture that is shown in full size. */
export const zoomed: Signal<Picture | undefined> = signal<Picture>();

/** Whether the run that is shown has not ended. */
export const isBusy: ReadonlySignal<boolean> = computed(() => {
  const status = run.value?.status;
  return status === "queued" || status === "running";
});

/** The model that the form names. */
export const chosenModel: ReadonlySignal<Model | undefined> = computed(() =>
  offered.value.models.find(({ id }) => id === form.value.model)
);

/** Changes the form. */
export function change(fields: Partial<Form>): void {
  form.value = { ...form.value, ...fields };
}

/** The adapters that fit a model. */
export function fittingLoras(model: string): Lora[] {
  return offered.value.loras.filter(({ models }) => models.includes(model));
}

/** How far the picture is changed: what the form says, else the server's default. */
export function strengthOf({ strength, mask }: Form): number {
  return strength ?? (mask ? 1 : 0.8);
}

/** Lays the defaults of a model into the form, and leaves out the adapters that do not fit it. */
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
