/**
 * Reads the code blocks of the documents and of the docstrings.
 *
 * @module
 */

import { marked } from "marked";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LAYERS } from "../../tools/layers.ts";

/** The repository's folder. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** A code block. */
export interface CodeBlock {
  /** The file that contains it, relative to the repository. */
  readonly file: string;
  /** The words after the fence, such as `ts ignore`; `""` for an indented block. */
  readonly language: string;
  /** The code, without fence and indentation. */
  readonly code: string;
  /** Why the block is not run, if it has a mark: the comment `<!-- not run: REASON -->` before it. */
  readonly reason: string | undefined;
}

/** Returns the code blocks of README, CONTRIBUTING and `docs/`. */
export function documentBlocks(): CodeBlock[] {
  const documents = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", "CONTRIBUTING.md", ...documents.map((name) => `docs/${name}`)].flatMap((file) =>
    blocksOf(file, readFileSync(join(ROOT, file), "utf8"))
  );
}

/** Returns the code blocks of a document. */
export function blocksOf(file: string, text: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let reason: string | undefined;
  marked.walkTokens(marked.lexer(text), (token) => {
    if (token.type === "space") return;
    if (token.type === "code") {
      blocks.push({ file, language: token["lang"] ?? "", code: token["text"], reason });
    }
    [, reason] = token.type === "html" ? /^<!-- not run: (\S.*) -->\s*$/.exec(token.raw) ?? [] : [];
  });
  return blocks;
}

/** Returns the code blocks of all docstrings. The mark is the first line, `// not run: REASON`. */
export function docstringBlocks(): CodeBlock[] {
  return LAYERS.flatMap(sourceFiles).flatMap((file) => {
    const source = readFileSync(join(ROOT, file), "utf8");
    return [...source.matchAll(/^ *\* ```([^\n]+)\n(.*?)^ *\* ```$/gms)].map(
      ([, language = "", lines = ""]) => {
        const code = lines.replace(/^ *\* ?/gm, "");
        const [, reason] = /^\/\/ not run: (\S.*)/.exec(code) ?? [];
        return { file, language, code, reason };
      },
    );
  });
}

/** Returns the TypeScript files of a layer. */
function sourceFiles(layer: string): string[] {
  if (statSync(join(ROOT, layer)).isFile()) return [layer];
  return readdirSync(join(ROOT, layer), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts")).map((name) => `${layer}/${name.replaceAll("\\", "/")}`);
}
