import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brokenLinks } from "../../docs/.vitepress/check_links.ts";
import { GROUPS } from "../../docs/.vitepress/sidebar.ts";
import site from "../../docs/deno.json" with { type: "json" };
import project from "../../deno.json" with { type: "json" };
import { inFolder } from "../cli/run_cli.ts";

Deno.test("links and anchors that lead nowhere are found, and others are not", async () => {
  await inFolder(async (folder) => {
    await mkdir(join(folder, "api"));
    await writeFile(join(folder, "cat.png"), "");
    await writeFile(
      join(folder, "index.html"),
      `<h1 id="top"><a href="#top"></a></h1><a href="/api/">a</a><a href="./other.html#t%C3%B6p">b</a>
       <img src="/cat.png"><a href="https://example.org/x#y">c</a><a href="other.html#gone">d</a>`,
    );
    await writeFile(join(folder, "other.html"), `<h1 id="töp"></h1><img src="dog.png"><a href="/other"></a>`);
    await writeFile(
      join(folder, "api/index.html"),
      `<a href="../index.html#top"></a><a href="other.html"></a>`,
    );
    assert.deepEqual(brokenLinks(folder).sort(), [
      "api/index.html: other.html leads to no file",
      "index.html: other.html#gone leads to no element of other.html",
      "other.html: dog.png leads to no file",
    ]);
  });
});

Deno.test("the API reference reads the types of the packages that pixstage uses", () => {
  for (const name of ["@hono/zod-openapi", "hono", "onnxruntime-common", "zod"] as const) {
    assert.equal(site.imports[name], project.imports[name]);
  }
});

Deno.test("every document has a place in the site's sidebar", async () => {
  const files = await readdir(new URL("../../docs", import.meta.url));
  const documents = files.filter((name) => name.endsWith(".md") && name !== "index.md");
  const listed = Object.values(GROUPS).flatMap((group) => Object.values(group)).map((page) => `${page}.md`);
  assert.deepEqual(documents.filter((name) => !listed.includes(name)), []);
});
