// This module is browser compatible.

/**
 * Pictures of artifacts as files, and files as artifacts: what is asked of the thread that writes and reads them, and its
 * answers.
 *
 * @module
 */

import { z } from "zod";
import { serializedErrorSchema } from "../../errors/serialized_error.ts";

/** The schema of {@linkcode PictureOrder}. */
export const pictureOrderSchema = z.object({
  /** The id of an image artifact. */
  artifact: z.string(),
  /** Which picture of it, from 0. */
  image: z.int().nonnegative(),
  /** The kind of file. */
  format: z.enum(["png", "jpeg", "webp"]),
  /** Quality of JPEG and WebP, 0 to 100. */
  quality: z.number().optional(),
  /** The picture is shrunk by the largest whole factor that leaves its longer side this many pixels. */
  atLeast: z.number().optional(),
});

/** A picture that is to be written as a file. */
export type PictureOrder = z.infer<typeof pictureOrderSchema>;

const bytesSchema = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array);

/** The schema of {@linkcode ReadPicture}. */
export const readPictureSchema = z.object({
  /** The id of the picture, an artifact of kind `image`. */
  artifact: z.string(),
  width: z.int(),
  height: z.int(),
  /** The id of a picture that is white where this one is transparent; null where it is opaque. */
  transparent: z.string().nullable(),
});

/** A picture file that was read, and put into the store. */
export type ReadPicture = z.infer<typeof readPictureSchema>;

/** The schema of a message that asks for a file to be read. */
const readTaskSchema = z.object({
  id: z.number(),
  /** The folder of the store. */
  store: z.string(),
  /** The most pixels that a picture may have. */
  maxPixels: z.number(),
  /** A PNG, JPEG or WebP file. */
  bytes: bytesSchema,
});

/** A message that asks for a file to be read. */
export type ReadTask = z.infer<typeof readTaskSchema>;

/** The schema of a message that asks for a file to be written. */
const writeTaskSchema = z.object({
  id: z.number(),
  /** The folder of the store. */
  store: z.string(),
  /** The file of the artifact. */
  path: z.string(),
  /** The most pixels that a picture may have. */
  maxPixels: z.number(),
  order: pictureOrderSchema,
});

/** A message that asks for a file to be written. */
export type WriteTask = z.infer<typeof writeTaskSchema>;

/** The schema of a message to the thread. */
export const pictureTaskSchema = z.union([writeTaskSchema, readTaskSchema]);

/** A message to the thread. */
export type PictureTask = z.infer<typeof pictureTaskSchema>;

/** The schema of an answer. */
export const pictureReplySchema = z.union([
  z.object({
    id: z.number(),
    file: bytesSchema,
  }),
  z.object({ id: z.number(), read: readPictureSchema }),
  /** There is no such picture. */
  z.object({ id: z.number(), missing: z.literal(true) }),
  z.object({ id: z.number(), error: serializedErrorSchema }),
]);

/** An answer of the thread. */
export type PictureReply = z.infer<typeof pictureReplySchema>;
