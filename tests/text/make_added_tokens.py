"""Writes added_tokens.json: ids of T5's tokenizer with added tokens that only match single words, or that overlap.

Made with transformers 5.24, tokenizers 0.23.3 by `python make_added_tokens.py`. The vocabulary is that of tiny-alpha-512;
each case consists of the tokenizer_config.json and the added tokens in the tokenizer.json.
"""

import json
import pathlib
import tempfile

from transformers import T5Tokenizer

here = pathlib.Path(__file__).parent
vocabulary = here.parent / "goldens/checkpoints/tiny-alpha-512/tokenizer/tokenizer.json"
STRINGS = [
    "x<extra_id_7>y z",
    "a<unk>b",
    "a <unk> b",
    "<unk>b",
    "a<unk>",
    "a<unk><unk>b",
    "a.<unk>,b",
    "\u00e9<unk>\u00e9",
    "_<unk>_",
    "9<unk>9",
    "a\u0301<unk>b",
    "a\u200d<unk>b",
    "\u4e00<unk>",
    "</s>a</s>",
    "a<pad><unk>b",
    "the cat sat",
    "thecat sat",
    "cats cat",
    "Cat! cat?",
    "<aab>",
    "x<aab>",
    "<aab> b",
    "x<aab",
    "a <unk>  b",
    "a\t<extra_id_3>\n b",
    "\uff23\uff21\uff34 \uff43\uff41\uff54 <unk>",
    "x.<extra_id_7>.y",
    "\u201c<unk>\u201d",
    "\u2177<unk>",
    "\u00b2<unk>",
    "\u0663<unk>",
    "\u200bcat\u200b",
]
NAMES = {0: "<pad>", 1: "</s>", 2: "<unk>", 892: "<extra_id_7>", 896: "<extra_id_3>"}


def token(content, **flags):
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {"content": content, **plain, **flags}


def decoder(**flags):
    return {str(i): token(name, **flags) for i, name in NAMES.items()}


def cases():
    word = {
        "900": token("cat", single_word=True, normalized=True, special=False),
        "901": token("<aa", single_word=True),
        "902": token("ab>"),
        "903": token("<a"),
    }
    yield {"added_tokens_decoder": decoder(single_word=True)}, []
    yield {"added_tokens_decoder": {**decoder(), **word}}, []
    yield {"added_tokens_decoder": decoder(single_word=True, lstrip=True, rstrip=True)}, []
    yield {}, [{"id": i, **token(name, single_word=True)} for i, name in NAMES.items()]
    yield {"unk_token": {"__type": "AddedToken", **token("<unk>", single_word=True)}}, []


def ids(config, listed):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        tokenizer = {**json.loads(vocabulary.read_text()), "added_tokens": listed}
        (path / "tokenizer.json").write_text(json.dumps(tokenizer))
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        t5 = T5Tokenizer.from_pretrained(folder)
        return [t5(text)["input_ids"] for text in STRINGS]


results = [{"config": config, "listed": listed, "ids": ids(config, listed)} for config, listed in cases()]
(here / "added_tokens.json").write_text(json.dumps({"strings": STRINGS, "cases": results}) + "\n")
