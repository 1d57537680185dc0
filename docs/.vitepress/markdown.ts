/**
 * What the site does with Markdown beyond VitePress: links that leave `docs/` lead to pages of the site,
 * indented blocks are highlighted as commands, and Mermaid diagrams are drawn when the site is built.
 *
 * @module
 */

import { renderMermaidSVG } from "beautiful-mermaid";
import type { MarkdownRenderer } from "vitepress";
import { fileFromPage, fileOfPage, linkedFile, pageOfFile } from "./repository.ts";

/** Adds the site's rules to VitePress's renderer. */
export function extendMarkdown(markdown: MarkdownRenderer): void {
  markdown.core.ruler.before("normalize", "defaults", (state) => {
    if (String(state.env.relativePath).startsWith("api/")) state.src = withPlainDefaults(state.src);
  });
  markdown.core.ruler.push("repository", ({ tokens, env }) => {
    const page = String(env.relativePath);
    if (page.startsWith("api/")) return;
    for (const token of tokens.flatMap((token) => [token, ...token.children ?? []])) {
      if (token.type === "code_block") Object.assign(token, { type: "fence", info: "sh" });
      const name = { link_open: "href", image: "src" }[token.type];
      const target = name && linkedFile(fileOfPage(page), token.attrGet(name) ?? "");
      if (!target) continue;
      const address = token.type === "image"
        ? fileFromPage(target.path, page)
        : pageOfFile(target.path) + target.anchor;
      token.attrSet(name, address);
    }
  });
  const { rules } = markdown.renderer;
  const { text, code_inline: code, fence } = rules;
  if (!text || !code || !fence) throw new Error("The renderer has no rules for text and code");
  rules.text = (...args) => withoutInterpolation(text(...args));
  rules.code_inline = (...args) => withoutInterpolation(code(...args));
  rules.fence = (tokens, index, ...rest) => {
    const { info, content } = tokens[index]!;
    return info.trim() === "mermaid" ? diagram(content) : fence(tokens, index, ...rest);
  };
}

/** Draws a diagram. Its colours are the theme's; its own style sheet, which loads a font, is left out. */
function diagram(text: string): string {
  const drawing = renderMermaidSVG(text, {
    transparent: true,
    layerSpacing: 28,
    nodeSpacing: 28,
    padding: 8,
  });
  return `<div class="diagram" v-pre>${drawing.replace(/<style>.*?<\/style>/s, "")}</div>`;
}

/** Escapes what Vue would evaluate, such as the types of nested objects in the API reference. */
function withoutInterpolation(html: string): string {
  return html.replaceAll("{{", "&#123;&#123;");
}

/** Writes the defaults of the API reference, `{"cpu"}` in docstrings, without their braces, and prose as prose. */
function withPlainDefaults(markdown: string): string {
  return markdown.replaceAll(
    /(?:\*\*Default\*\* `\{(.*?)\}`(?= \|)|#+ Default\n\n```ts\n\{(.*?)\}\n```)/g,
    (_, inTable?: string, alone?: string) => {
      const value = inTable ?? alone ?? "";
      return `Default: ${/^[a-z]+ /.test(value) ? value : `\`${value}\``}.`;
    },
  );
}
