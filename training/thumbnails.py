"""Makes thumbnails of training drawings, with which the tests compare generated pictures.

All drawings of the emoji that the sample prompts name, and every sixteenth of the others, each cropped to what is drawn, on
white, 32 x 32 pixels, in one picture with their names beside it.

  python thumbnails.py ../tests/models/pixstage-emoji/training_drawings
"""
import io
import json
import os
import re
import sys

import numpy as np
from PIL import Image

from build_dataset import PACK
from dataset.pack import Pack

SIDE = 32
COLUMNS = 32
EVERY = 16
ASKED = re.compile(
    r"-cat(-|$)|-(automobile|oncoming-automobile|racing-car|sport-utility-vehicle|pizza|rocket|green-apple|elephant"
    r"|hot-beverage|sunflower|robot|ghost|castle|japanese-castle|birthday-cake|penguin|unicorn|house-with-garden|red-heart"
    r"|sauropod|t-rex|sushi|guitar|octopus|avocado)$|-((slightly-)?smiling|grinning|beaming)-face"
    r"|-(loudly-crying|crying|angry|pouting|enraged)-face$|-airplane(-departure|-arrival)?$|-astronaut"
    r"|-(evergreen|deciduous|palm|leafless|christmas)-tree$|-mage")


def name_of(pack, picture):
    """Style, emoji and skin tone: noto-astronaut-dark-skin."""
    emoji = pack.emoji[picture[0]]
    words = (pack.styles[picture[1]]["id"], emoji["label"], emoji.get("tone", ""))
    return re.sub("[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def on_white(pack, picture):
    offset, length = picture[2:4]
    data = pack.bytes[pack.start + offset:pack.start + offset + length]
    drawing = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", drawing.size, "white")
    white.alpha_composite(drawing)
    return white.convert("RGB")


def thumbnail(picture):
    """The drawing without its margins, centred on a white square and averaged to SIDE x SIDE pixels."""
    drawn = (255 - np.asarray(picture)).max(-1) > 24
    rows, columns = np.where(drawn.any(1))[0], np.where(drawn.any(0))[0]
    left, top, right, bottom = (int(v) for v in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    side = max(right - left, bottom - top)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture.crop((left, top, right, bottom)), ((side - (right - left)) // 2, (side - (bottom - top)) // 2))
    return square.resize((SIDE, SIDE), Image.Resampling.BOX)


def main():
    folder = sys.argv[1]
    pack = Pack(PACK)
    named = sorted((name_of(pack, picture), i) for i, picture in enumerate(pack.pictures))
    asked = [one for one in named if ASKED.search(one[0])]
    others = [one for one in named if not ASKED.search(one[0])][::EVERY]
    chosen = asked + others
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-len(chosen) // COLUMNS) * SIDE), "white")
    for place, (_, i) in enumerate(chosen):
        sheet.paste(thumbnail(on_white(pack, pack.pictures[i])), (place % COLUMNS * SIDE, place // COLUMNS * SIDE))
    os.makedirs(folder, exist_ok=True)
    sheet.save(os.path.join(folder, "thumbnails.webp"), quality=90, method=6)
    with open(os.path.join(folder, "thumbnails.json"), "w", encoding="utf-8") as f:
        f.write(json.dumps([name for name, _ in chosen], indent=2) + "\n")
    print(f"{len(asked)} asked for, {len(others)} others")


if __name__ == "__main__":
    main()
