/// <reference lib="dom" />
/**
 * Shows the settings of a picture, with buttons to copy them.
 *
 * @module
 */

import { useState } from "preact/hooks";
import type { VNode } from "preact";
import { genCommand, rerunCommand } from "./command.ts";
import { fileName } from "./download.ts";
import { Masked } from "./masked.ts";
import { pictureUrl } from "./server.ts";
import { html } from "./html.ts";
import { Icon } from "./icons.ts";
import { type Settings, settingsOfPicture } from "./settings.ts";
import { fault, offered } from "./state.ts";
import type { Model, Picture } from "./types.ts";

/** The settings of a picture. */
export function SettingsView({ picture }: { readonly picture: Picture }): VNode | null {
  const settings = settingsOfPicture(picture);
  if (!settings) return null;
  const { image, mask, controlImage } = settings.further;
  const rows = rowsOf(settings, offered.value.models.find(({ id }) => id === settings.model));
  const json = JSON.stringify(settings.request ?? picture.job.graph, null, 2);
  const command = settings.request
    ? genCommand(settings.request, urlOfArtifact)
    : rerunCommand(fileName(picture));
  return html`
    <div class="settings">
      <div class="origins">
        <${Origin} name="Started from" artifact=${image} mask=${mask} />
        <${Origin} name="Control picture" artifact=${controlImage} />
      </div>
      <dl aria-label="Settings">
        ${rows.map(([name, value]) =>
          html`
            <div key=${name} class="row" data-setting=${name}>
              <dt>${name}</dt>
              <dd>${breakable(value)}</dd>
              <${CopyButton} name=${name} text=${value} />
            </div>
          `
        )}
      </dl>
      <div class="buttons">
        <${CopyButton} name="JSON" text=${json} isWide=${true} />
        <${CopyButton} name="command" text=${command} isWide=${true} />
      </div>
    </div>
  ` as VNode;
}

/** A picture that the run started from or followed. */
interface OriginProps {
  readonly name: string;
  readonly artifact: string | undefined;
  /** Id of the mask's artifact. */
  readonly mask?: string | undefined;
}

function Origin({ name, artifact, mask }: OriginProps): VNode | null {
  if (artifact === undefined) return null;
  return html`
    <figure>
      <${Masked} artifact=${artifact} mask=${mask} alt=${`${name}${mask ? ", with the mask over it" : ""}`} />
      <figcaption>${name}${mask && html`<small>the tinted area is repainted</small>`}</figcaption>
    </figure>
  ` as VNode;
}

function urlOfArtifact(artifact: string): string {
  return pictureUrl({ artifact, image: 0 });
}

function rowsOf(settings: Settings, model: Model | undefined): [name: string, value: string][] {
  const { prompt, negativePrompt, seed, width, height, steps, scheduler, guidance, vae, begun, further } =
    settings;
  const part = (interval: readonly number[] | undefined): string | undefined => interval?.join(" to ");
  const own = model?.defaults;
  const rows: [string, string | number | undefined][] = [
    ["Prompt", prompt],
    ["Negative prompt", negativePrompt ?? own?.negative_prompt],
    ["Seed", seed],
    ["Size", width && height ? `${width} × ${height}` : undefined],
    ["Steps", steps ?? own?.steps],
    ["Scheduler", scheduler ?? own?.scheduler],
    ["Guidance", guidance ?? own?.guidance_scale],
    ["Guided steps", part(further.guided)],
    ["Perturbed attention", further.pag],
    ["Step cache", further.stepCache],
    ["Strength", further.image === undefined ? undefined : further.strength],
    ["LoRA", further.loras.map(({ name, weight }) => `${name} × ${weight}`).join(", ")],
    ["ControlNet", further.controlnet && `${further.controlnet} × ${further.controlScale ?? 1}`],
    ["Followed steps", part(further.controlled)],
    ["Model", settings.model],
    [
      "Second transformer",
      settings.secondTransformer && `${settings.secondTransformer} from ${settings.switchedAt}`,
    ],
    ["Decoder", vae],
    ["First steps", begun?.steps],
    ["First prompt", begun?.prompt === prompt ? undefined : begun?.prompt],
    ["First guidance", begun?.guidance],
  ];
  return rows.flatMap(([name, value]) => value === undefined || value === "" ? [] : [[name, String(value)]]);
}

/** Lets a long class name break before its last word. */
function breakable(value: string): unknown {
  const [name = "", last] = value.split(/(?=Scheduler$)/);
  return last === undefined ? name : html`${name}<wbr />${last}`;
}

/** Properties of a copy button. */
interface CopyProps {
  readonly name: string;
  readonly text: string;
  readonly isWide?: boolean | undefined;
}

function CopyButton({ name, text, isWide = false }: CopyProps): VNode {
  const [copied, setCopied] = useState<string>();
  const isCopied = copied === text;
  const copy = async (): Promise<void> => {
    try {
      await writeClipboard(text);
      setCopied(text);
      setTimeout(() => setCopied(undefined), 2000);
    } catch {
      fault.value = `The browser does not allow the page to copy: select the text and copy it yourself`;
    }
  };
  const label = isCopied ? `Copied: ${name}` : `Copy ${name}`;
  return html`
    <button type="button" class=${isWide
      ? "button"
      : "copy"} title=${label} aria-label=${label} data-copy=${name}
      onClick=${copy}>
      <${Icon} name=${isCopied ? "done" : "copy"} />${isWide && `Copy ${name}`}
    </button>
  ` as VNode;
}

/**
 * Copies text. Pages that are neither local nor behind TLS have no clipboard API, so they copy from a
 * selected field.
 */
async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return await navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.style.position = "fixed";
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (!isCopied) throw new Error("The browser refused to copy");
}
