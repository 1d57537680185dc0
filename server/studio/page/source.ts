/// <reference lib="dom" />
/**
 * Pictures that the form starts from or follows. They are uploaded to the server's store at once, so that the
 * form keeps only their ids, even across a reload.
 *
 * @module
 */

import { attempt } from "./attempt.ts";
import { fileName } from "./download.ts";
import { pictureFile, pictureUrl, uploadPicture } from "./server.ts";
import { fittedTo } from "./sizes.ts";
import { change, chosenModel, form, notice, offered, type StoredPicture } from "./state.ts";
import type { Picture, Upload } from "./types.ts";

/**
 * Makes the form start from a picture file, in the picture's aspect ratio. Returns whether the server
 * accepted it.
 */
export async function beginFrom(file: Blob, name: string): Promise<boolean> {
  return await attempt(async () => {
    const upload = await uploadPicture(file);
    const model = chosenModel.value;
    begin(upload, name, model && fittedTo(upload, model, offered.value.limits));
  });
}

/** Makes the form start from a finished picture, in its size. */
export async function beginFromPicture(picture: Picture): Promise<void> {
  const image = picture.job.images[picture.index];
  if (!image) return;
  await attempt(async () => {
    const file = new Blob([await pictureFile(image)], { type: "image/png" });
    const { width, height } = image;
    begin(await uploadPicture(file), fileName(picture), { width, height });
  });
}

/** Makes the form's ControlNet follow a picture file. */
export async function follow(file: Blob, name: string): Promise<void> {
  await attempt(async () => {
    const { artifact, width, height } = await uploadPicture(file);
    const { controlnet } = form.value;
    change({
      control: { artifact, name, width, height },
      controlnet: controlnet || (offered.value.controlnets[0] ?? ""),
    });
    notice.value = `The next picture follows ${name}.`;
  });
}

/**
 * Looks up a stored picture for the form.
 *
 * @returns The picture; `undefined` if the store does not have it.
 */
export async function findStored(artifact: string, name: string): Promise<StoredPicture | undefined> {
  const image = new Image();
  image.src = pictureUrl({ artifact, image: 0 });
  try {
    await image.decode();
  } catch {
    return undefined;
  }
  return { artifact, name, width: image.naturalWidth, height: image.naturalHeight };
}

function begin(
  { artifact, transparent, width, height }: Upload,
  name: string,
  size: { readonly width: number; readonly height: number } | undefined,
): void {
  change({
    source: { artifact, name, width, height },
    mask: transparent === null ? null : { artifact: transparent, isSoft: false },
    ...size,
  });
  const part = transparent === null ? "" : " Its transparent area is repainted, and the rest is kept.";
  notice.value = `The next picture starts from ${name}.${part}`;
}
