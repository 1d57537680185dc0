/**
 * The files of the repository as pages of the site: documents link to code, examples and other documents, and
 * the links must work on a copy of the site that has no repository beside it.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const DOCS = "docs/";
/** The folder of the site that shows files from outside `docs/`. */
const SOURCE = "source/";

/** Returns the path in the repository of the file that a page shows, e.g. `docs/memory.md`. */
export function fileOfPage(page: string): string {
  return page.startsWith(SOURCE) ? page.slice(SOURCE.length) : DOCS + page;
}

/** Returns the path in the repository that a link in a file leads to, or nothing if it leads elsewhere. */
export function linkedFile(file: string, link: string): { path: string; anchor: string } | undefined {
  if (/^(?:[a-z]+:|\/|#|$)/i.test(link)) return undefined;
  const [relative = "", anchor] = link.split("#");
  const path = posix.join(posix.dirname(file), decodeURI(relative)).replace(/\/$/, "");
  return { path, anchor: anchor === undefined ? "" : `#${anchor}` };
}

/**
 * Returns the address in the site of a file or folder of the repository.
 *
 * @throws {Error} if there is no such file.
 */
export function pageOfFile(path: string): string {
  if (!existsSync(join(ROOT, path))) throw new Error(`A document links to ${path}, which does not exist`);
  if (path.startsWith(DOCS)) return `/${path.slice(DOCS.length)}`;
  return `/${SOURCE}${path}${isFolder(path) ? "/index" : path.endsWith(".md") ? "" : ".md"}`;
}

/** Returns the path of a file of the repository relative to a page, as the bundler resolves pictures. */
export function fileFromPage(path: string, page: string): string {
  return posix.relative(posix.dirname(DOCS + page), path);
}

/** A page that shows a file or folder from outside `docs/`. */
export interface SourcePage {
  /** The page's address below `source/`, without `.md`. */
  readonly params: { readonly path: string };
  readonly content: string;
}

/** Returns the pages of the README and of everything outside `docs/` that documents lead to. */
export function sourcePages(): SourcePage[] {
  const shown = new Set(["README.md"]);
  const documents = [...shown, ...readdirSync(join(ROOT, DOCS)).map((name) => DOCS + name)].filter((path) =>
    path.endsWith(".md")
  );
  for (const document of documents) {
    for (const path of linksOf(document)) {
      if (path.startsWith(DOCS) || shown.has(path)) continue;
      shown.add(path);
      if (path.endsWith(".md")) documents.push(path);
    }
  }
  return [...shown].map((path) => ({
    params: { path: pageOfFile(path).slice(SOURCE.length + 1).replace(/\.md$/, "") },
    content: contentOf(path),
  }));
}

/** Returns the files and folders that a document links to. */
function linksOf(document: string): string[] {
  const text = readFileSync(join(ROOT, document), "utf8").replaceAll(/^(```+).*?^\1/gms, "");
  return [...text.matchAll(/(?<!!)\[[^\]]*\]\(([^)\s]+)\)/g)].flatMap(([, link]) =>
    linkedFile(document, link!)?.path ?? []
  );
}

/** Returns the Markdown that shows a file or folder. */
function contentOf(path: string): string {
  if (isFolder(path)) {
    const rows = readdirSync(join(ROOT, path)).map((name) =>
      `| \`${name}\` | ${firstSentence(path, name)} |`
    );
    return [`# ${path}/`, "", "| file | contents |", "| --- | --- |", ...rows].join("\n");
  }
  const text = readFileSync(join(ROOT, path), "utf8");
  if (path.endsWith(".md")) return text;
  return `# ${posix.basename(path)}\n\n\`${path}\`\n\n${"`````"}${
    posix.extname(path).slice(1)
  }\n${text}\n${"`````"}\n`;
}

/** Returns the first sentence of the comment at the head of a file. */
function firstSentence(folder: string, name: string): string {
  if (!name.endsWith(".ts")) return "";
  const text = readFileSync(join(ROOT, folder, name), "utf8");
  const [, comment = ""] = text.match(/^\/\*\*\n(.*?)\*\//ms) ?? [];
  const [sentence = ""] = comment.replaceAll(/^ \* ?/gm, "").replaceAll(/\s+/g, " ").match(/^.*?[.:](?= )/) ??
    [];
  return sentence.replace(/:$/, ".").replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

function isFolder(path: string): boolean {
  return statSync(join(ROOT, path)).isDirectory();
}
