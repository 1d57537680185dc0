// This module is browser compatible.

/**
 * Messages to and from the thread that encodes pictures of artifacts as files and decodes files into
 * artifacts.
 *
 * @module
 */

import { z } from "zod";
import { serializedErrorSchema } from "../../errors/serialized_error.ts";

/** Schema of {@linkcode PictureOrder}. */
export const pictureOrderSchema = z.object({
  /** The id of an image artifact. */
  artifact: z.string(),
  /** Index of the picture in the artifact, from 0. */
  image: z.int().nonnegative(),
  /** The file format. */
  format: z.enum(["png", "jpeg", "webp"]),
  /** Quality of JPEG and WebP, 0 to 100. */
  quality: z.number().optional(),
  /**
   * Shrinks the picture by the largest whole factor that leaves its longer side at least this many pixels.
   */
  atLeast: z.number().optional(),
});

/** An order to encode a picture as a file. */
export type PictureOrder = z.infer<typeof pictureOrderSchema>;

const bytesSchema = z.custom<Uint8Array<ArrayBuffer>>((value) => value instanceof Uint8Array);

/** Schema of {@linkcode ReadPicture}. */
export const readPictureSchema = z.object({
  /** The id of the picture, an artifact of kind `image`. */
  artifact: z.string(),
  width: z.int(),
  height: z.int(),
  /** The id of a picture that is white where this one is transparent; null if it is opaque. */
  transparent: z.string().nullable(),
});

/** A picture file that has been decoded and put into the store. */
export type ReadPicture = z.infer<typeof readPictureSchema>;

/** Schema of a message that asks the thread to decode a file. */
const readTaskSchema = z.object({
  id: z.number(),
  /** The folder of the store. */
  store: z.string(),
  /** Maximum number of pixels of a picture. */
  maxPixels: z.number(),
  /** A PNG, JPEG or WebP file. */
  bytes: bytesSchema,
});

/** A message that asks the thread to decode a file. */
export type ReadTask = z.infer<typeof readTaskSchema>;

/** Schema of a message that asks the thread for the texts in a file. */
const textsTaskSchema = z.object({
  id: z.number(),
  /** A PNG, JPEG or WebP file. */
  described: bytesSchema,
});

/** Schema of a message that asks the thread to encode a file. */
const writeTaskSchema = z.object({
  id: z.number(),
  /** The folder of the store. */
  store: z.string(),
  /** The file of the artifact. */
  path: z.string(),
  /** Maximum number of pixels of a picture. */
  maxPixels: z.number(),
  order: pictureOrderSchema,
});

/** A message that asks the thread to encode a file. */
export type WriteTask = z.infer<typeof writeTaskSchema>;

/** Schema of the answer to the thread's question whether an artifact may be stored. */
const storePermitSchema = z.object({ id: z.number(), mayStore: z.boolean() });

/** Schema of a message that asks the thread for something. */
const pictureTaskSchema = z.union([writeTaskSchema, readTaskSchema, textsTaskSchema]);

/** Schema of a message to the thread. */
export const pictureMessageSchema = z.union([storePermitSchema, pictureTaskSchema]);

/** A message to the thread. */
export type PictureMessage = z.infer<typeof pictureMessageSchema>;

/** A message that asks the thread for something. */
export type PictureTask = z.infer<typeof pictureTaskSchema>;

/** Schema of {@linkcode StoreWish}. */
const storeWishSchema = z.object({
  id: z.number(),
  wants: z.object({
    /** The id of the artifact. */
    artifact: z.string(),
    /** Size of its file in bytes. */
    bytes: z.int().nonnegative(),
  }),
});

/** The thread's question whether it may store an artifact. */
export type StoreWish = z.infer<typeof storeWishSchema>;

/** Schema of an answer. */
const pictureReplySchema = z.union([
  z.object({
    id: z.number(),
    file: bytesSchema,
  }),
  z.object({ id: z.number(), read: readPictureSchema }),
  z.object({ id: z.number(), texts: z.map(z.string(), z.string()) }),
  /** The picture does not exist. */
  z.object({ id: z.number(), missing: z.literal(true) }),
  z.object({ id: z.number(), error: serializedErrorSchema }),
]);

/** An answer of the thread. */
export type PictureReply = z.infer<typeof pictureReplySchema>;

/** Schema of a message from the thread. */
export const threadMessageSchema = z.union([storeWishSchema, pictureReplySchema]);
