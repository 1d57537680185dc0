"""Build the data set: install the pinned npm packages, choose the drawings, rasterise them, pack them.

  python build_dataset.py                the pack, training/data/emoji.pack
  python build_dataset.py --tokenizer    the tokenizer as well, into the model folder

Needs node and npm. Takes about five minutes.
"""
import argparse
import collections
import json
import os
import subprocess
from dataclasses import asdict

from dataset.emoji_selection import select_drawings, select_emoji
from dataset.pack import Pack, write_pack
from dataset.sources import STYLES, install

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "data")
PACK = os.path.join(DATA, "emoji.pack")
MODEL = os.path.join(HERE, "..", "models", "pixstage-emoji")


def drawing_file(modules, style, name):
    if style.id == "fluent3d":
        return os.path.join(modules, style.package, "assets", name)
    return os.path.join(DATA, "drawings", f"{style.id}-{name}.png")


def rasterize(modules, drawings):
    jobs = [[STYLES[s].package, name, f"{STYLES[s].id}-{name}.png"] for _, s, name in drawings
            if STYLES[s].id != "fluent3d"]
    jobs_file = os.path.join(DATA, "drawings.json")
    with open(jobs_file, "w", encoding="utf-8") as f:
        json.dump(jobs, f)
    script = os.path.join(HERE, "dataset", "rasterize.cjs")
    subprocess.run(["node", script, modules, jobs_file, os.path.join(DATA, "drawings")], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", action="store_true", help="train the tokenizer too (needs sentencepiece)")
    options = parser.parse_args()
    modules = install(os.path.join(DATA, "packages"))
    emoji, by_code = select_emoji(modules)
    chosen = select_drawings(modules, emoji, by_code)
    rasterize(modules, chosen)
    drawings = [(which, s, drawing_file(modules, STYLES[s], name)) for which, s, name in chosen]
    count = write_pack(PACK, [asdict(s) for s in STYLES], emoji, drawings)
    pack = Pack(PACK)
    by_style = collections.Counter(pack.styles[p[1]]["id"] for p in pack.pictures)
    print(f"{count} drawings of {len(emoji)} emoji, {os.path.getsize(PACK)} bytes: {dict(by_style)}")
    if options.tokenizer:
        from dataset.tokenizer import train_tokenizer
        train_tokenizer(pack, modules, os.path.join(MODEL, "tokenizer"))


if __name__ == "__main__":
    main()
