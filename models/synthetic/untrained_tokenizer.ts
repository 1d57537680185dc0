// This module is browser compatible.

/**
 * An untrained tokenizer of a given size that splits words into letters and pairs of letters.
 *
 * @module
 */

const SPECIAL = ["<pad>", "</s>", "<unk>"];
const EXTRA_IDS = 100;

/**
 * Returns the text of `tokenizer.json` for a vocabulary of `pieces` pieces: printable ASCII characters,
 * pieces of one and two letters, filler, and finally the `<extra_id_…>` tokens, as in T5.
 *
 * @param pieces Number of pieces including special ones; at least 300.
 */
export function untrainedTokenizer(pieces: number): string {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const ascii = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
  const pairs = letters.flatMap((first) => letters.map((second) => first + second));
  const wanted = [
    "▁",
    ...ascii,
    ...letters.map((letter) => `▁${letter}`),
    ...pairs.map((pair) => `▁${pair}`),
    ...pairs,
  ];
  const room = pieces - SPECIAL.length - EXTRA_IDS;
  const filler = Array.from({ length: Math.max(0, room - wanted.length) }, (_, index) => `▁piece${index}`);
  const learned = [...wanted.slice(0, room), ...filler];
  const extra = Array.from({ length: EXTRA_IDS }, (_, index) => `<extra_id_${EXTRA_IDS - 1 - index}>`);
  const vocab = [
    ...SPECIAL.map((piece) => [piece, 0]),
    ...learned.map((piece, index) => [piece, -2 - 10 / piece.length - index * 1e-5]),
    ...extra.map((piece) => [piece, 0]),
  ];
  const special = [...SPECIAL, ...extra];
  return JSON.stringify({
    version: "1.0",
    added_tokens: special.map((content) => ({
      id: vocab.findIndex(([piece]) => piece === content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
      pair: [
        { Sequence: { id: "A", type_id: 0 } },
        { SpecialToken: { id: "</s>", type_id: 0 } },
        { Sequence: { id: "B", type_id: 0 } },
        { SpecialToken: { id: "</s>", type_id: 0 } },
      ],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    model: { type: "Unigram", unk_id: 2, vocab, byte_fallback: false },
  });
}
