import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { fc } from "../random.ts";
import { readSentencePieceModel } from "../../text/sentencepiece_model.ts";
import { ModelProtoSchema, TrainerSpec_ModelType } from "../../text/sentencepiece_model_pb.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import { FormatError } from "../../errors/pixstage_error.ts";
import { goldenPath } from "../goldens.ts";

const bytes = Deno.readFileSync(goldenPath("checkpoints/tiny-lcm/tokenizer/spiece.model"));

Deno.test("readSentencePieceModel() reads pieces, scores and the normalizer", () => {
  const { pieces, scores, addedPieces, charsmap } = readSentencePieceModel(bytes);
  assert.equal(pieces.length, 800);
  assert.equal(scores.length, 800);
  assert.deepEqual(pieces.slice(0, 3), ["<pad>", "</s>", "<unk>"]);
  assert.deepEqual(addedPieces, ["<pad>", "</s>"]);
  assert.equal(scores[3], Math.fround(scores[3] ?? 0));
  assert.ok(charsmap !== undefined && charsmap.length > 100_000);
});

Deno.test("readSentencePieceModel() refuses models of other types and empty ones, and names the file", () => {
  const bpe = toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      pieces: [{ piece: "a" }],
      trainerSpec: { modelType: TrainerSpec_ModelType.BPE },
    }),
  );
  assert.throws(() => readSentencePieceModel(bpe), { name: "FormatError", message: /spiece\.model.*BPE$/ });
  assert.throws(() => readSentencePieceModel(new Uint8Array(), "x/spiece.model"), {
    name: "FormatError",
    message: /x\/spiece\.model/,
  });
});

Deno.test("readSentencePieceModel() and the tokenizer throw only format errors for broken bytes", () => {
  const start = bytes.subarray(0, 4000);
  const change = fc.record({ at: fc.nat(start.length - 1), byte: fc.nat(255) });
  const mutated = fc.tuple(fc.array(change, { maxLength: 6 }), fc.nat(start.length)).map(([changes, end]) => {
    const copy = start.slice(0, end);
    for (const { at, byte } of changes) if (at < end) copy[at] = byte;
    return copy;
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (spieceModel) => {
      try {
        createTokenizer({ spieceModel: spieceModel.slice() }).encode("a cute cat, naïve", 20);
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error));
        assert.match(error.message, /spiece\.model/);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("the tokenizer tolerates any normalizer map", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.string({ unit: "binary" }), (map, text) => {
      const charsmap = new Uint8Array([map.length & 0xfc, 0, 0, 0, ...map]);
      if (map.length > 255) charsmap[1] = 1;
      const model = toBinary(
        ModelProtoSchema,
        create(ModelProtoSchema, {
          pieces: [{ piece: "<pad>" }, { piece: "</s>" }, { piece: "<unk>" }],
          normalizerSpec: { precompiledCharsmap: charsmap },
        }),
      );
      const { ids } = createTokenizer({ spieceModel: new Uint8Array(model) }).encode(text, 50);
      assert.equal(ids.at(-1), 1);
    }),
  );
});
