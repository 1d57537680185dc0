/**
 * Checks that every link of a built site leads to a file of the site, and every anchor to an element there.
 * VitePress checks only pages, not anchors.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, posix } from "node:path";

/**
 * Returns the links of a site that lead nowhere, each with its page.
 *
 * @param folder The folder of the built site, which is served at `/`.
 */
export function brokenLinks(folder: string): string[] {
  const pages = new Map(
    readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".html")).map(
      (path) => [path.replaceAll("\\", "/"), readFileSync(join(folder, path), "utf8")],
    ),
  );
  const anchors = new Map<string, Set<string>>();
  const anchorsOf = (path: string): Set<string> => {
    const known = anchors.get(path) ?? attributes(pages.get(path)!, "id");
    anchors.set(path, known);
    return known;
  };
  return [...pages].flatMap(([page, html]) =>
    [...attributes(html, "href"), ...attributes(html, "src")].flatMap((link) => {
      if (/^(?:[a-z]+:|\/\/)/i.test(link)) return [];
      const [address = "", anchor = ""] = link.split("#");
      const path = address === "" ? page : fileAt(folder, new URL(address, `http://site/${page}`));
      if (path === undefined) return [`${page}: ${link} leads to no file`];
      const isFound = anchor === "" || !pages.has(path) || anchorsOf(path).has(decodeURIComponent(anchor));
      return isFound ? [] : [`${page}: ${link} leads to no element of ${path}`];
    })
  );
}

/** Returns the values of an attribute in a page. */
function attributes(html: string, name: string): Set<string> {
  return new Set(
    [...html.matchAll(new RegExp(`\\s${name}="([^"]*)"`, "g"))].map(([, value]) =>
      value!.replaceAll("&amp;", "&")
    ),
  );
}

/** Returns the path of the file that a static server sends for an address, or nothing. */
function fileAt(folder: string, { pathname }: URL): string | undefined {
  const path = decodeURI(pathname).slice(1);
  const isFile = (candidate: string): boolean => {
    const file = join(folder, candidate);
    return existsSync(file) && statSync(file).isFile();
  };
  return [path, `${path}.html`, posix.join(path, "index.html")].find(isFile);
}
