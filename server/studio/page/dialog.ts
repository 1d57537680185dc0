/// <reference lib="dom" />
/**
 * Modal dialogs, and the keys that they listen to.
 *
 * @module
 */

import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Opens a dialog as soon as it is in the document. An effect after the paint would be late: a key that is
 * pressed until then would go to the page behind.
 *
 * @param isShown Whether the dialog is in the document.
 * @returns The reference to put on the dialog.
 */
export function useModal(isShown: boolean): RefObject<HTMLDialogElement | null> {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    if (isShown && !dialog.current?.open) dialog.current?.showModal();
  }, [isShown]);
  return dialog;
}

/**
 * Listens to keys wherever the focus is: a click beside the controls of a dialog takes it out of the dialog.
 *
 * @param isShown Whether the keys mean anything.
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
