import assert from "node:assert/strict";
import { posix } from "node:path";
import { SCRIPTS } from "../../server/studio/files.ts";

Deno.test("the server has every script that a script of the studio page imports", () => {
  const imported = Object.entries(SCRIPTS).flatMap(([path, text]) =>
    [...text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from "(\.[^"]+)"/gm)].map(([, name]) =>
      posix.join(posix.dirname(path), name!)
    )
  );
  assert(imported.length > 100);
  for (const path of imported) assert(Object.hasOwn(SCRIPTS, path), path);
});
