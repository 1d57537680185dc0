import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { planGraph } from "../../graph/plan.ts";
import { loadPlugins } from "../../graph/plugins.ts";
import { builtInStages } from "../../stages/mod.ts";
import { blocksOf, type CodeBlock, docstringBlocks, documentBlocks, ROOT } from "./code_blocks.ts";
import { checkCommands } from "./shell_commands.ts";

/** The blocks that tests run, besides those in `ts`, which `deno test --doc` runs. */
const TESTED = [
  { file: "docs/gallery.md", languages: [""], test: "tests/cli/gallery_slow_test.ts" },
  {
    file: "docs/server.md",
    languages: ["nginx", "caddyfile"],
    test: "tests/server/proxies/reverse_proxy_slow_test.ts",
  },
  {
    file: "docs/tutorial.md",
    languages: ["sh", "ts ignore", "json"],
    test: "tests/docs/tutorial_slow_test.ts",
  },
];

/** Languages of output and diagrams. */
const NOT_CODE = ["text", "mermaid"];

function isTested({ file, language }: CodeBlock): boolean {
  return TESTED.some((tested) => tested.file === file && tested.languages.includes(language));
}

/** Returns what is wrong with a block, or `undefined`. */
async function faultOf(block: CodeBlock): Promise<string | undefined> {
  const { language, code, reason } = block;
  const isShell = language === "" || language === "sh";
  if (isShell) {
    const commands = await checkCommands(code);
    const wrong = commands.find(({ fault }) => fault !== undefined);
    if (wrong) return `${wrong.fault} in: ${wrong.line}`;
    if (commands.every(({ isChecked }) => isChecked)) return undefined;
  }
  if (language === "ts" || NOT_CODE.includes(language) || isTested(block)) return undefined;
  if (language === "json") return jsonFault(code);
  if (reason !== undefined) return undefined;
  return "Let a test run this block, or mark it with the reason why not";
}

/** The stages of the documents' graphs. */
const STAGES = await loadPlugins(builtInStages(), [
  new URL("../../examples/plugins/watermark.ts", import.meta.url).href,
]);

/** Returns what is wrong with JSON, which may be a graph. */
function jsonFault(text: string): string | undefined {
  try {
    const document = JSON.parse(text);
    if ("pixstage" in document) planGraph(document, STAGES);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

async function assertNoFaults(blocks: readonly CodeBlock[]): Promise<void> {
  assert(blocks.length > 0);
  const faults = await Promise.all(blocks.map(async (block) => [block, await faultOf(block)] as const));
  const wrong = faults.filter(([, fault]) => fault !== undefined);
  assert.equal(
    wrong.length,
    0,
    wrong.map(([{ file, code }, fault]) => `${file}: ${fault}\n${code}`).join("\n\n"),
  );
}

Deno.test("every code block of the documents is run, checked, or marked with the reason why not", async () => {
  await assertNoFaults(documentBlocks());
});

Deno.test("every code block of the docstrings is run, or marked with the reason why not", async () => {
  await assertNoFaults(docstringBlocks());
});

Deno.test("the tests that run blocks exist, and so do their blocks", () => {
  const blocks = documentBlocks();
  for (const { file, languages, test } of TESTED) {
    assert(existsSync(join(ROOT, test)), test);
    for (const language of languages) {
      assert(
        blocks.some((block) => block.file === file && block.language === language),
        `${file} ${language}`,
      );
    }
  }
});

Deno.test("faults of code blocks are found", async () => {
  const faults = async (text: string) => await Promise.all(blocksOf("docs/a.md", text).map(faultOf));
  const cases: [block: string, fault: RegExp | undefined][] = [
    ["    deno task gen cat -b 2   # two\n    A=1 npx pixstage gen cat -o - | magick - cat.tiff", undefined],
    ["    deno task store ls\n    deno task devices\n    deno task check", undefined],
    ["    deno task gen cat \\\n      --nonsense", /unknown option '--nonsense' in: deno task gen cat/],
    ["    deno task gen cat --steps many", /--steps/],
    ["    deno task worker --queue redis://a --device tpu", /argument .tpu. is invalid/],
    ["    deno task inspect", /missing required argument 'file\|id'/],
    ["    deno task store nonsense", /unknown command 'nonsense'/],
    ["    deno task store", /outputHelp/],
    ["    deno task serve --port", /argument missing/],
    ["    deno task grid cat --x steps=4,many", /--steps/],
    ["    deno task compare cat --a precision=int8 --b nonsense=3,steps=2", /unknown option '--nonsense=3'/],
    ["    deno task nonsense", /There is no task "nonsense"/],
    ["    deno task run examples/nonsense.json", /There is no file examples\/nonsense\.json/],
    ["    deno task bench:step --layers 7", /mark it/],
    ["```sh\ncurl http://127.0.0.1:8000\n```", /mark it/],
    ["<!-- not run: asks a server -->\n\n```sh\ncurl http://127.0.0.1:8000\n```", undefined],
    ["<!-- not run: -->\n\n```sh\ncurl http://127.0.0.1:8000\n```", /mark it/],
    ["<!-- not run: asks a server -->\n\nText.\n\n```sh\ncurl http://127.0.0.1:8000\n```", /mark it/],
    ["<!-- not run: needs systemd -->\n\n    systemd-run deno task gen --nonsense", /unknown option/],
    ["```ts\nlet a = 1;\n```\n\n```text\ncat\n```\n\n```json\n{}\n```", undefined],
    ["```ts ignore\nlet a = 1;\n```", /mark it/],
    ["```json\n{ a: 1 }\n```", /SyntaxError/],
    ['```json\n{ "pixstage": 1, "nodes": { "a": { "stage": "nonsense" } } }\n```', /nonsense/],
  ];
  for (const [block, fault] of cases) {
    const found = (await faults(block)).find((text) => text !== undefined);
    if (fault === undefined) assert.equal(found, undefined, block);
    else assert.match(found ?? "", fault, `${block}: ${found}`);
  }
});
