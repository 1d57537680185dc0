/// <reference lib="dom" />
/**
 * Paints on a canvas by mouse, pen, finger or keyboard.
 *
 * @module
 */

import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { draw, drawAll, type Operation, type Point, type Stroke } from "./mask_drawing.ts";
import type { Brush } from "./mask_tools.ts";

/** The bit of a pen's eraser end in the `buttons` of an event. */
const PEN_ERASER = 32;

/** The cursor and the event handlers of a canvas. */
export interface Painting {
  /** The element that shows the brush's position, placed relative to the canvas. */
  readonly cursor: RefObject<HTMLElement | null>;
  readonly handlers: Readonly<Record<string, (event: never) => void>>;
}

/** A stroke in progress. */
interface Begun {
  readonly points: Point[];
  readonly erases: boolean;
  readonly pointer: number;
}

/**
 * Lets a brush paint on a canvas.
 *
 * @param canvas The canvas.
 * @param brush The brush.
 * @param operations The operations drawn on the canvas.
 * @param onStroke Receives each finished stroke.
 */
export function usePainting(
  canvas: RefObject<HTMLCanvasElement | null>,
  brush: Brush,
  operations: readonly Operation[],
  onStroke: (stroke: Stroke) => void,
): Painting {
  const cursor = useRef<HTMLElement>(null);
  const place = useRef<Point | undefined>(undefined);
  const stroke = useRef<Begun | undefined>(undefined);
  const context = (): CanvasRenderingContext2D => canvas.current!.getContext("2d")!;

  const moveTo = ([x, y]: Point): void => {
    const { width, height } = canvas.current!;
    place.current = [x, y];
    const { style } = cursor.current!;
    style.left = `${100 * x / width}%`;
    style.top = `${100 * y / height}%`;
    style.visibility = "visible";
  };
  const add = (point: Point): void => {
    const { points, erases } = stroke.current!;
    const last = points.at(-1);
    points.push(point);
    draw(context(), { kind: "stroke", points: last ? [last, point] : [point], size: brush.size, erases });
  };
  const pointOf = ({ clientX, clientY }: MouseEvent): Point => {
    const { width, height } = canvas.current!;
    const box = canvas.current!.getBoundingClientRect();
    return [(clientX - box.left) / box.width * width, (clientY - box.top) / box.height * height];
  };

  const onPointerDown = (event: PointerEvent): void => {
    if (stroke.current || (event.button !== 0 && event.buttons !== PEN_ERASER)) return;
    canvas.current!.setPointerCapture(event.pointerId);
    const erases = brush.erases === true || event.buttons === PEN_ERASER;
    stroke.current = { points: [], erases, pointer: event.pointerId };
    moveTo(pointOf(event));
    add(pointOf(event));
  };
  const onPointerMove = (event: PointerEvent): void => {
    moveTo(pointOf(event));
    if (stroke.current?.pointer !== event.pointerId) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length > 0 ? moves : [event]) add(pointOf(move));
  };
  const onPointerUp = ({ pointerId }: PointerEvent): void => {
    if (stroke.current?.pointer !== pointerId) return;
    const { points, erases } = stroke.current;
    stroke.current = undefined;
    onStroke({ kind: "stroke", points, size: brush.size, erases });
  };
  // The browser has taken over the pointer, e.g. for a gesture, so the stroke was not intended.
  const onPointerCancel = (): void => {
    stroke.current = undefined;
    drawAll(context(), operations);
  };
  const onPointerLeave = (): void => {
    if (!stroke.current) cursor.current!.style.visibility = "hidden";
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const { width, height } = canvas.current!;
    const [x, y] = place.current ?? [width / 2, height / 2];
    const by = Math.max(1, Math.round(brush.size / (event.shiftKey ? 8 : 2)));
    const moves: Readonly<Record<string, Point>> = {
      ArrowLeft: [x - by, y],
      ArrowRight: [x + by, y],
      ArrowUp: [x, y - by],
      ArrowDown: [x, y + by],
    };
    const next = moves[event.key];
    if (!next && event.key !== " ") return;
    event.preventDefault();
    const [across, down] = next ?? [x, y];
    moveTo([Math.min(Math.max(across, 0), width), Math.min(Math.max(down, 0), height)]);
    if (!next) {
      onStroke({ kind: "stroke", points: [place.current!], size: brush.size, erases: brush.erases === true });
    }
  };
  return {
    cursor,
    handlers: {
      onPointerDown,
      onPointerMove,
      onPointerUp,
      onPointerCancel,
      onPointerLeave,
      onKeyDown,
    },
  };
}
