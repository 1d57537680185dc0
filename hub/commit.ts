// This module is browser compatible.

/**
 * Commits of a model's repository.
 *
 * @module
 */

/** How a commit's SHA-1 looks. */
export const COMMIT = /^[0-9a-f]{40}$/;
