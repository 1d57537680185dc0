import type { S3Store } from "../../artifacts/store/s3_store.ts";
import { MEDIA_TYPES } from "../../images/picture.ts";
import type { PictureOrder } from "./picture_order.ts";
import type { Pictures } from "./pictures.ts";

/**
 * Puts a picture file into a bucket, unless it is already there.
 *
 * @param order The picture.
 * @param bucket The store in S3.
 * @param pictures Encodes the file.
 * @param seconds Lifetime of the link.
 * @returns A link to it that needs no key; undefined if there is no such picture.
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
