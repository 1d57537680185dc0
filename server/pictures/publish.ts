import type { S3Store } from "../../artifacts/store/s3_store.ts";
import { MEDIA_TYPES } from "../../images/picture.ts";
import type { PictureOrder } from "./picture_order.ts";
import type { Pictures } from "./pictures.ts";

/**
 * Puts a picture into a bucket as a file, unless it is there already.
 *
 * @param order The picture.
 * @param bucket The store in S3.
 * @param pictures Writes the file.
 * @param seconds How long the link is good for.
 * @returns A link to it, which needs no key; undefined where there is no such picture.
 */
export async function publish(
  order: PictureOrder,
  bucket: Pick<S3Store, "publish">,
  pictures: Pick<Pictures, "write">,
  seconds: number,
): Promise<string | undefined> {
  const { artifact, image, format, quality } = order;
  const name = `${artifact}/${image}${quality === undefined ? "" : `-${quality}`}.${format}`;
  return await bucket.publish(name, MEDIA_TYPES[format], seconds, () => pictures.write(order));
}
