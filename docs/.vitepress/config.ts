/**
 * The documentation as a site: `deno task docs` builds it from `docs/` and from the docstrings.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type DefaultTheme, defineConfig } from "vitepress";
import { brokenLinks } from "./check_links.ts";
import { extendMarkdown } from "./markdown.ts";
import { GROUPS } from "./sidebar.ts";

const DOCS = fileURLToPath(new URL("..", import.meta.url));

/** Returns the sidebar of the documents. */
function documents(): DefaultTheme.SidebarItem[] {
  return Object.entries(GROUPS).map(([text, group]) => ({
    text,
    collapsed: false,
    items: Object.entries(group).map(([text, page]) => ({ text, link: `/${page}` })),
  }));
}

/** Returns the sidebar that TypeDoc writes for the API reference, one entry for each entry point. */
function api(): DefaultTheme.SidebarItem[] {
  const path = `${DOCS}api/typedoc-sidebar.json`;
  if (!existsSync(path)) throw new Error("There is no API reference. Build the site with: deno task docs");
  const modules: DefaultTheme.SidebarItem[] = JSON.parse(readFileSync(path, "utf8"));
  const items: DefaultTheme.SidebarItem[] = modules.flatMap((module) =>
    module.link
      ? [module]
      : (module.items ?? []).map((entry) => ({ ...entry, text: `${module.text}/${entry.text}` }))
  );
  items.sort((one, other) => (one.text ?? "").length - (other.text ?? "").length);
  return [{ text: "API reference", link: "/api/", items }];
}

/** Returns the anchor of a heading as GitHub names it, so that links work there and in the site. */
function anchorOf(heading: string): string {
  return heading.trim().toLowerCase().replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, "").replaceAll(" ", "-");
}

export default defineConfig({
  title: "pixstage",
  description: "Pictures from text with PixArt, stage by stage, in little memory",
  lang: "en",
  srcExclude: ["node_modules"],
  markdown: {
    config: extendMarkdown,
    anchor: { slugify: anchorOf },
    languageAlias: { caddyfile: "nginx" },
  },
  vite: { server: { fs: { allow: [".."] } } },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [
      { text: "Tutorial", link: "/tutorial" },
      { text: "How it works", link: "/how_it_works" },
      { text: "Server", link: "/server" },
      { text: "API", link: "/api/", activeMatch: "/api/" },
    ],
    sidebar: { "/api/": api(), "/": documents() },
    footer: { message: "Apache-2.0" },
  },
  buildEnd({ outDir }) {
    const broken = brokenLinks(outDir);
    if (broken.length > 0) throw new Error(`Links lead nowhere:\n${broken.join("\n")}`);
  },
});
