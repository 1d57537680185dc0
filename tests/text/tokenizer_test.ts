import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { fc } from "../random.ts";
import { openDiskSource } from "../../models/checkpoint/disk_source.ts";
import { readTokenizerFiles, type TokenizerFiles } from "../../models/checkpoint/tokenizer_files.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import addedTokens from "./added_tokens.json" with { type: "json" };
import { goldenJson, goldenPath } from "../goldens.ts";
import { golden, needing } from "../needing.ts";

interface TokenizerGoldens {
  strings: string[];
  tokenizers: {
    tokenizer: string;
    ids?: number[][];
    same_ids_as?: string;
    padded?: { max_length: number; strings_from: number; input_ids?: number[][]; lengths?: number[] }[];
  }[];
}

const goldens = goldenJson<TokenizerGoldens>("units/tokenizer.json");

/** The tokenizer of 32,100 tokens, which is stored compressed and outside of a checkpoint. */
function readLargeTokenizer(): TokenizerFiles {
  return {
    tokenizerJson: new TextDecoder().decode(
      gunzipSync(Deno.readFileSync(goldenPath("units/t5-32k/tokenizer.json.gz"))),
    ),
    tokenizerConfig: Deno.readTextFileSync(goldenPath("units/t5-32k/tokenizer_config.json")),
  };
}

async function readFiles(tokenizer: string): Promise<TokenizerFiles> {
  if (tokenizer === "t5-32k") return readLargeTokenizer();
  const folder = tokenizer.replace(/\/tokenizer$/, "");
  return readTokenizerFiles(await openDiskSource(goldenPath(folder)), "tokenizer");
}

function idsOf(name: string): number[][] {
  const golden = goldens.tokenizers.find(({ tokenizer }) => tokenizer === name);
  return golden?.ids ?? idsOf(golden?.same_ids_as ?? assert.fail(`no ids of ${name}`));
}

for (const { tokenizer: name, padded = [] } of goldens.tokenizers) {
  const files = golden(name === "t5-32k" ? "units/t5-32k" : name);

  Deno.test(needing(files, {
    name: `createTokenizer() returns the reference's ids for every string with ${name}`,
    async fn() {
      const tokenizer = createTokenizer(await readFiles(name));
      assert.equal(goldens.strings.length, 100);
      for (const [i, expected] of idsOf(name).entries()) {
        const text = goldens.strings[i] ?? assert.fail();
        const encoded = tokenizer.encode(text, 10_000);
        assert.deepEqual([...encoded.ids], expected, JSON.stringify(text));
        assert.equal(encoded.truncated, false);
        assert.equal(encoded.droppedText, "");
      }
    },
  }));

  for (const { max_length, strings_from, input_ids = [], lengths = [] } of padded) {
    Deno.test(needing(files, {
      name: `createTokenizer() truncates at ${max_length} tokens like the reference with ${name}`,
      async fn() {
        const tokenizer = createTokenizer(await readFiles(name));
        assert.ok(input_ids.length + lengths.length > 0);
        for (const [i, text] of goldens.strings.slice(strings_from).entries()) {
          const { ids, truncated } = tokenizer.encode(text, max_length);
          if (input_ids[i] !== undefined) {
            assert.deepEqual([...ids, ...new Array<number>(max_length - ids.length).fill(0)], input_ids[i]);
          }
          if (lengths[i] !== undefined) assert.equal(ids.length, lengths[i], JSON.stringify(text));
          assert.equal(truncated, (idsOf(name)[strings_from + i]?.length ?? 0) > max_length);
        }
      },
    }));
  }
}

Deno.test("createTokenizer() returns the same ids from spiece.model and tokenizer.json", async () => {
  const { tokenizerJson, ...others } = await readFiles("checkpoints/tiny-alpha-512/tokenizer");
  assert.ok(tokenizerJson !== undefined && others.spieceModel !== undefined);
  const fromJson = createTokenizer({ tokenizerJson, ...others });
  const fromModel = createTokenizer(others);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
    assert.deepEqual(fromModel.encode(text, 20), fromJson.encode(text, 20));
  }));
});

Deno.test("createTokenizer() limits ids to the length, with </s> last, and truncates nothing that fits", async () => {
  const tokenizer = createTokenizer(await readFiles("checkpoints/tiny-lcm/tokenizer"));
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 60 }),
      fc.integer({ min: 1, max: 30 }),
      (text, length) => {
        const whole = [...tokenizer.encode(text, 1000).ids];
        const { ids, truncated } = tokenizer.encode(text, length);
        assert.equal(truncated, whole.length > length);
        assert.deepEqual([...ids], truncated ? [...whole.slice(0, length - 1), 1] : whole);
      },
    ),
  );
});

const VOCABULARY = [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -2], ["▁a", -3], ["▁cat", -4], ["s", -5]];

function tokenizerJson(overrides: object = {}): string {
  return JSON.stringify({ normalizer: null, model: { type: "Unigram", vocab: VOCABULARY }, ...overrides });
}

Deno.test("createTokenizer() reports the dropped text", () => {
  const { ids, truncated, droppedText } = createTokenizer({ tokenizerJson: tokenizerJson() })
    .encode("a cat s cats", 4);
  assert.deepEqual([...ids], [4, 5, 3, 1]);
  assert.equal(truncated, true);
  assert.equal(droppedText, "s cats");
});

Deno.test("createTokenizer() assigns ids after the vocabulary to added tokens outside of it", () => {
  const tokenizer = createTokenizer({
    tokenizerJson: tokenizerJson(),
    tokenizerConfig: JSON.stringify({
      added_tokens_decoder: { 50: { content: "<new>", normalized: false, special: true } },
      extra_ids: 0,
      extra_special_tokens: [],
    }),
  });
  assert.deepEqual([...tokenizer.encode("a<new>cat", 10).ids], [4, 7, 5, 1]);
});

Deno.test("createTokenizer() matches the reference for single-word and overlapping added tokens", () => {
  const vocabulary = JSON.parse(
    Deno.readTextFileSync(goldenPath("checkpoints/tiny-alpha-512/tokenizer/tokenizer.json")),
  );
  for (const { config, listed, ids } of addedTokens.cases) {
    const tokenizer = createTokenizer({
      tokenizerJson: JSON.stringify({ ...vocabulary, added_tokens: listed }),
      tokenizerConfig: JSON.stringify(config),
    });
    for (const [i, text] of addedTokens.strings.entries()) {
      assert.deepEqual([...tokenizer.encode(text, 100).ids], ids[i], JSON.stringify([config, text]));
    }
  }
});

Deno.test("createTokenizer() refuses unreadable files and names them", () => {
  const cases: [TokenizerFiles, RegExp][] = [
    [{ tokenizerJson: "{" }, /^Cannot parse tokenizer\.json as JSON/],
    [{ tokenizerJson: "[]" }, /^Cannot read tokenizer\.json as a file of a T5 tokenizer/],
    [
      { tokenizerJson: tokenizerJson({ model: { type: "BPE", vocab: {} } }) },
      /tokenizer\.json[^]*model\.type/,
    ],
    [
      { tokenizerJson: tokenizerJson({ model: { type: "Unigram", vocab: [["a", 0], ["b"]] } }) },
      /entry 1 .*\["b"\]/,
    ],
    [
      { tokenizerJson: tokenizerJson({ model: { type: "Unigram", vocab: [["a", 0]] } }) },
      /<unk> must have id 2/,
    ],
    [
      {
        tokenizerJson: tokenizerJson({
          normalizer: { type: "Precompiled", precompiled_charsmap: "AAD/AA==" },
        }),
      },
      /normalizer of tokenizer\.json/,
    ],
    [
      { tokenizerJson: tokenizerJson(), tokenizerConfig: '{"extra_ids": -1}' },
      /tokenizer_config\.json[^]*extra_ids/,
    ],
    [
      { tokenizerJson: tokenizerJson(), specialTokensMap: '{"eos_token": 1}' },
      /special_tokens_map\.json[^]*eos_token/,
    ],
    [{ tokenizerJson: tokenizerJson(), addedTokens: '{"<x>": "7"}' }, /added_tokens\.json[^]*<x>/],
  ];
  for (const [files, message] of cases) {
    assert.throws(() => createTokenizer(files), { name: "FormatError", message });
  }
  assert.throws(() => createTokenizer({}), { code: "invalid_value" });
});

Deno.test("createTokenizer() refuses lengths that leave no room for </s>", () => {
  const tokenizer = createTokenizer({ tokenizerJson: tokenizerJson() });
  for (const length of [0, -1, 1.5, NaN]) {
    assert.throws(() => tokenizer.encode("a", length), { code: "out_of_range" });
  }
});
