/**
 * The thread that encodes pictures of artifacts as files and puts files into the store as artifacts. It
 * processes one picture at a time, and reads only the requested picture of an artifact with several.
 *
 * @module
 */

import "../../images/codecs_in_node.ts";
import type { Artifact } from "../../artifacts/artifact.ts";
import { encodeArtifactChunks, outlineOfFile } from "../../artifacts/artifact_file.ts";
import { readFileRange, readSafetensorsFileHeader } from "../../artifacts/files_on_disk.ts";
import { contentId, FolderStore } from "../../artifacts/store/folder_store.ts";
import { tensor } from "../../artifacts/tensor.ts";
import { InputError, InternalError } from "../../errors/pixstage_error.ts";
import { serializeError } from "../../errors/serialized_error.ts";
import { describePicture } from "../../graph/describe_picture.ts";
import { storedOrigin } from "../../graph/lineage.ts";
import { describeOrigin } from "../../graph/provenance.ts";
import { encodePicture, readPictureHeader } from "../../images/picture.ts";
import {
  artifactPixels,
  pictureArtifact,
  readUpright,
  transparentPart,
} from "../../images/picture_artifact.ts";
import type { Pixels } from "../../images/pixels.ts";
import { listenInWorker } from "../../system/worker.ts";
import {
  pictureMessageSchema,
  type PictureReply,
  type PictureTask,
  type ReadTask,
  type WriteTask,
} from "./picture_order.ts";
import { shrink } from "./shrink.ts";

/** Returns the pixels of one picture of an artifact; undefined if it has no such picture. */
async function readPicture({ path, maxPixels, order }: WriteTask): Promise<Pixels | undefined> {
  const header = await readSafetensorsFileHeader(path);
  const image = header.tensors.get("image");
  if (outlineOfFile(header, order.artifact).kind !== "image" || !image) return undefined;
  const [count = 0, channels, height = 0, width = 0] = image.shape;
  const isBytes = image.dtype === "U8";
  if ((!isBytes && image.dtype !== "F32") || image.shape.length !== 4 || channels !== 3) {
    throw new InputError(
      "invalid_artifact",
      `Cannot show artifact ${order.artifact}: its tensor "image" must be F32 or U8 [images, 3, height, width], but is ` +
        `${image.dtype} [${image.shape}]`,
    );
  }
  if (order.image >= count) return undefined;
  if (height * width > maxPixels) {
    throw new InputError(
      "too_large",
      `Cannot show a picture of ${width} × ${height} pixels: it must have at most ${maxPixels} pixels`,
    );
  }
  const bytes = image.length / count;
  const start = image.offset + order.image * bytes;
  const { buffer } = await readFileRange(path, start, start + bytes);
  const shape = [1, 3, height, width];
  const picture = isBytes
    ? tensor("uint8", shape, new Uint8Array(buffer, 0, bytes))
    : tensor("float32", shape, new Float32Array(buffer, 0, bytes / Float32Array.BYTES_PER_ELEMENT));
  return artifactPixels({ tensors: { image: picture } })[0];
}

async function writePicture(task: WriteTask): Promise<PictureReply> {
  const { id, store: folder, path, order } = task;
  const { artifact, image, format, quality, atLeast } = order;
  const pixels = await readPicture(task);
  if (!pixels) return { id, missing: true };
  const options = { format, ...(quality === undefined ? {} : { quality }) };
  if (atLeast !== undefined) return { id, file: await encodePicture(shrink(pixels, atLeast), options) };
  const header = await readSafetensorsFileHeader(path);
  const provenance = describeOrigin(await storedOrigin(artifact, new FolderStore(folder)));
  const shapes = Object.fromEntries(
    [...header.tensors].map(([name, { shape }]) => [name, { shape }] as const),
  );
  const described = { metadata: outlineOfFile(header, artifact).metadata, tensors: shapes };
  const metadata = describePicture(described, image, provenance);
  return { id, file: await encodePicture(pixels, { ...options, metadata }) };
}

/** Puts a picture file into the store, together with a mask of its transparent part. */
async function takePicture({ id, store: folder, maxPixels, bytes }: ReadTask): Promise<PictureReply> {
  const pixels = await readUpright(bytes, { maxPixels });
  const store = new FolderStore(folder);
  const transparent = transparentPart(pixels);
  return {
    id,
    read: {
      artifact: await put(id, pictureArtifact(pixels), store),
      width: pixels.width,
      height: pixels.height,
      transparent: transparent ? await put(id, pictureArtifact(transparent), store) : null,
    },
  };
}

/** Stores an artifact if the server, which knows how full the store is, permits it. */
async function put(id: number, artifact: Artifact, store: FolderStore): Promise<string> {
  const chunks = encodeArtifactChunks(artifact);
  const made = await contentId(chunks);
  if (!await store.has(made)) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    permits.set(id, resolve);
    send({ id, wants: { artifact: made, bytes: chunks.reduce((sum, { length }) => sum + length, 0) } });
    if (!await promise) throw new InternalError("The server does not permit to store the picture");
  }
  return await store.put(artifact);
}

async function answer(task: PictureTask): Promise<PictureReply> {
  if ("bytes" in task) return await takePicture(task);
  if ("order" in task) return await writePicture(task);
  const { metadata } = readPictureHeader(task.described);
  return { id: task.id, texts: new Map(Object.entries(metadata)) };
}

let last = Promise.resolve();
/** Called with the server's answer, by the id of the task that waits for it. */
const permits = new Map<number, (mayStore: boolean) => void>();

const send = listenInWorker((message) => {
  const task = pictureMessageSchema.parse(message);
  if ("mayStore" in task) {
    permits.get(task.id)?.(task.mayStore);
    permits.delete(task.id);
    return;
  }
  last = last.then(() => answer(task)).catch((
    error,
  ): PictureReply => ({
    id: task.id,
    error: serializeError(error),
  })).then((reply) => send(reply, "file" in reply ? [reply.file.buffer] : []));
});
