/**
 * Names of repositories on the hub.
 *
 * @module
 */

/** A name on the hub: letters, digits, `-`, `_` and `.`, not at the ends; no `--` and no `..`. */
export const HUB_NAME: RegExp = /^(?!.*(--|\.\.))[\w](?:[\w.-]{0,94}[\w])?\/[\w](?:[\w.-]{0,94}[\w])?$/;

/** Splits `org/name@revision`. */
export function splitRevision(
  reference: string,
): { readonly name: string; readonly revision: string | undefined } {
  const at = reference.lastIndexOf("@");
  return at > 0
    ? { name: reference.slice(0, at), revision: reference.slice(at + 1) }
    : { name: reference, revision: undefined };
}
