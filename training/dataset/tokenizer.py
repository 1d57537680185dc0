"""A T5-style unigram tokenizer (pad 0, end 1, unknown 2, nmt_nfkc), trained on captions, in both of its file formats."""
import io
import json
import os
import random
import re
import string

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from dataset.captions import Captioner
from dataset.drawings import BACKGROUNDS, HUE_TARGETS
from dataset.sources import STYLES, read_json

VOCABULARY = 3584
LONGEST = 120


def caption_lines(pack, rng):
    captioner = Captioner(pack.emoji, pack.styles)
    colours, backgrounds = list(HUE_TARGETS), list(BACKGROUNDS)
    for _ in range(12):
        for which, style, _, _, (colour, *_) in pack.pictures:
            new = rng.choice(colours) if rng.random() < 0.15 else ""
            background = rng.choice(backgrounds) if rng.random() < 0.08 else ""
            yield captioner.caption(which, style, rng, "" if new else colour, new, background)
    for _ in range(20000):
        left, right = rng.choice(pack.pictures), rng.choice(pack.pictures)
        yield captioner.pair(left[0], right[0], rng, left[4][0], right[4][0])


def word_lines(modules):
    """English words beyond the captions: keywords of every emoji, and the words of drawing names."""
    counts = {}

    def add(text, times):
        for word in re.findall("[a-z]+(?:'[a-z]+)?", text.lower()):
            if 2 < len(word) < 15:
                counts[word] = min(counts.get(word, 0) + times, 12)

    for entry in read_json(modules, "emojibase-data", "en", "data.json"):
        add(entry["label"], 3)
        add(" ".join(entry.get("tags", [])), 2)
    for keywords in read_json(modules, "emojilib", "dist", "emoji-en-US.json").values():
        add(" ".join(keywords).replace("_", " "), 2)
    for style in STYLES:
        if style.package.startswith("@iconify-json/"):
            for name in read_json(modules, style.package, "icons.json")["icons"]:
                add(name.replace("-", " "), 1)
    for word, count in counts.items():
        yield from [word] * count


def precompiled_charsmap(model):
    """normalizer_spec (field 3) . precompiled_charsmap (field 2) of a serialised sentencepiece model."""
    def fields(message):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = message[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value

        while at < len(message):
            key = varint()
            if key & 7 == 0:
                varint()
            else:
                size = varint() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
                if key & 7 == 2:
                    yield key >> 3, message[at:at + size]
                at += size

    specification = next(value for field, value in fields(model) if field == 3)
    return next(value for field, value in fields(specification) if field == 2)


def as_tokenizers(model, pieces):
    """The same tokenizer for the tokenizers library."""
    scores = [(pieces.id_to_piece(i), pieces.get_score(i)) for i in range(pieces.get_piece_size())]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(precompiled_charsmap(model)), normalizers.Replace(Regex(" {2,}"), " ")])
    blanks = dict(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(**blanks), decoders.Metaspace(**blanks)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    special = [AddedToken(t, normalized=False, special=True) for t in ("<pad>", "</s>", "<unk>")]
    tokenizer.add_special_tokens(special)
    return tokenizer


def train_tokenizer(pack, modules, folder):
    """Writes spiece.model, tokenizer.json and the two configuration files; refuses formats that disagree."""
    rng = random.Random(7)
    lines = [*caption_lines(pack, rng), *word_lines(modules)]
    lines += ["the quick brown fox jumps over the lazy dog", "0 1 2 3 4 5 6 7 8 9"] * 50
    rng.shuffle(lines)
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=written, model_type="unigram", vocab_size=VOCABULARY,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>",
        normalization_rule_name="nmt_nfkc", character_coverage=1.0, num_threads=1, max_sentence_length=512,
        minloglevel=1, required_chars="".join(c for c in string.printable if not c.isspace()))
    model = written.getvalue()
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = as_tokenizers(model, pieces)
    for line in lines[::7]:
        if pieces.encode(line) + [1] != tokenizer.encode(line).ids:
            raise ValueError(f"Both formats must give the same ids: they differ on {line!r}")

    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "spiece.model"), "wb") as f:
        f.write(model)
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    special = dict(eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    config = dict(tokenizer_class="T5Tokenizer", **special, extra_ids=0, additional_special_tokens=[],
                  model_max_length=LONGEST, clean_up_tokenization_spaces=False)
    for name, content in (("tokenizer_config.json", config), ("special_tokens_map.json", special)):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(content, f, indent=2)
            f.write("\n")
