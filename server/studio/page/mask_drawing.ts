/// <reference lib="dom" />
/**
 * Draws a mask from a list of operations, so that each can be undone.
 *
 * @module
 */

import { feathered } from "./mask_feather.ts";

/** A point on the mask, in its pixels. */
export type Point = readonly [x: number, y: number];

/** A stroke of the brush or the eraser. */
export interface Stroke {
  readonly kind: "stroke";
  readonly points: readonly Point[];
  /** The diameter of the brush in pixels. */
  readonly size: number;
  readonly erases: boolean;
}

/** An initial mask. White counts as painted. */
interface Base {
  readonly kind: "base";
  readonly image: CanvasImageSource;
}

/** An operation on a mask. */
export type Operation = Stroke | Base | { readonly kind: "clear" } | { readonly kind: "invert" };

/** Maximum length of a mask's longer side, in pixels. Masks are resized to latents, which are far smaller. */
const LONGEST_SIDE = 1536;
/** The colour of the paint, which is unlikely to occur in a picture. */
const PAINT = "#ff2e88";

/** Returns the mask size for a picture. */
export function maskSize(picture: { readonly width: number; readonly height: number }): {
  width: number;
  height: number;
} {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  return { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) };
}

/** Redraws a mask. Opaque pixels are painted. */
export function drawAll(context: CanvasRenderingContext2D, operations: readonly Operation[]): void {
  const { width, height } = context.canvas;
  context.clearRect(0, 0, width, height);
  for (const operation of operations) draw(context, operation);
}

/** Draws one more operation. */
export function draw(context: CanvasRenderingContext2D, operation: Operation): void {
  const { width, height } = context.canvas;
  context.globalCompositeOperation = "source-over";
  context.fillStyle = PAINT;
  switch (operation.kind) {
    case "stroke":
      return drawStroke(context, operation);
    case "clear":
      return context.clearRect(0, 0, width, height);
    case "invert":
      context.globalCompositeOperation = "source-out";
      return context.fillRect(0, 0, width, height);
    case "base":
      return drawBase(context, operation);
  }
}

function drawStroke(context: CanvasRenderingContext2D, { points, size, erases }: Stroke): void {
  const [first, ...rest] = points;
  if (!first) return;
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.strokeStyle = PAINT;
  context.lineWidth = size;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...first);
  // Canvases do not draw zero-length lines, so a dab is a very short one.
  context.lineTo(first[0] + 0.01, first[1]);
  for (const point of rest) context.lineTo(...point);
  context.stroke();
}

function drawBase(context: CanvasRenderingContext2D, { image }: Base): void {
  const { width, height } = context.canvas;
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at + 3] = pixels.data[at]!;
  context.putImageData(pixels, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillRect(0, 0, width, height);
}

/** Returns the painted fraction of a mask, from 0 to 1. */
export function paintedShare(context: CanvasRenderingContext2D): number {
  const opacity = opacityOf(context);
  return opacity.reduce((sum, value) => sum + value, 0) / (255 * opacity.length);
}

/**
 * Encodes a mask as a PNG file. Painted pixels are white, all others black.
 *
 * @param context The mask.
 * @param feather Softness of its edges: the standard deviation in pixels.
 */
export async function maskFile(context: CanvasRenderingContext2D, feather: number): Promise<Blob> {
  const { width, height } = context.canvas;
  const opacity = feathered(opacityOf(context), width, feather);
  const pixels = new ImageData(width, height);
  opacity.forEach((value, at) => pixels.data.set([value, value, value, 255], 4 * at));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d")!.putImageData(pixels, 0, 0);
  const file = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!file) throw new Error("The browser cannot save the mask: use a smaller picture");
  return file;
}

function opacityOf(context: CanvasRenderingContext2D): Uint8ClampedArray {
  const { data } = context.getImageData(0, 0, context.canvas.width, context.canvas.height);
  return data.filter((_, at) => at % 4 === 3);
}
