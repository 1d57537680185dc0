/// <reference lib="dom" />
/**
 * Modal dialogs and their keyboard shortcuts.
 *
 * @module
 */

import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Opens a dialog as soon as it is in the document. An effect after the paint would be too late, because keys
 * pressed before it would reach the page behind the dialog.
 *
 * @param isShown Whether the dialog is in the document.
 * @returns The ref for the dialog.
 */
export function useModal(isShown: boolean): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    if (isShown && !dialog.current?.open) dialog.current?.showModal();
  }, [isShown]);
  return dialog;
}

/**
 * Listens to keys regardless of the focus, because a click next to a dialog's controls moves the focus out of
 * the dialog.
 *
 * @param isShown Whether to listen.
 * @param onKeyDown Receives each key.
 */
export function useKeys(isShown: boolean, onKeyDown: (event: KeyboardEvent) => void): void {
  const newest = useRef(onKeyDown);
  newest.current = onKeyDown;
  useLayoutEffect(() => {
    if (!isShown) return;
    const listener = (event: KeyboardEvent): void => newest.current(event);
    document.addEventListener("keydown", listener);
    return () => document.removeEventListener("keydown", listener);
  }, [isShown]);
}
