"""Makes the thumbnails of training drawings that the tests hold generated pictures against.

All drawings of the emoji that the tests ask for, and every twelfth of the others, cropped to what is drawn, on white,
16 x 16 pixels each, in one picture with their names beside it.
"""

import argparse
import json
import re
from pathlib import Path

from PIL import Image, ImageChops

SIDE = 16
COLUMNS = 32
EVERY = 12
ASKED = (
    "cat-face|automobile|pizza|smiling-face|grinning-face|rocket|green-apple|hot-beverage|sunflower|robot|ghost|castle|"
    "birthday-cake|penguin|unicorn|house-with-garden|red-heart|heart-suit|angry-face|guitar|airplane|octopus|avocado|"
    "astronaut|mage|grinning-cat"
)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("drawings", type=Path, help="the folder of drawings that build_dataset.py made")
parser.add_argument("out", type=Path, help="where thumbnails.png and thumbnails.json go")


def on_white(drawing: Image.Image) -> Image.Image:
    drawing = drawing.convert("RGBA")
    white = Image.new("RGBA", drawing.size, "white")
    white.alpha_composite(drawing)
    return white.convert("RGB")


def thumbnail(picture: Image.Image) -> Image.Image:
    """What is drawn, in the middle of a white square, averaged to SIDE x SIDE pixels."""
    difference = ImageChops.difference(picture, Image.new("RGB", picture.size, "white"))
    channels = [channel.point(lambda value: 255 if value > 24 else 0) for channel in difference.split()]
    drawn = ImageChops.lighter(ImageChops.lighter(channels[0], channels[1]), channels[2]).getbbox()
    left, top, right, bottom = drawn
    side = max(right - left, bottom - top)
    square = Image.new("RGB", (side, side), "white")
    square.paste(picture.crop(drawn), ((side - (right - left)) // 2, (side - (bottom - top)) // 2))
    return square.resize((SIDE, SIDE), Image.Resampling.BOX)


def main() -> None:
    options = parser.parse_args()
    paths = sorted(options.drawings.glob("*.png"))
    asked = [path for path in paths if re.search(f"-({ASKED})", path.stem)]
    others = [path for path in paths if path not in set(asked)][::EVERY]
    chosen = asked + others
    sheet = Image.new("RGB", (COLUMNS * SIDE, -(-len(chosen) // COLUMNS) * SIDE), "white")
    for index, path in enumerate(chosen):
        place = (index % COLUMNS * SIDE, index // COLUMNS * SIDE)
        sheet.paste(thumbnail(on_white(Image.open(path))), place)
    options.out.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out / "thumbnails.png", optimize=True)
    names = [path.stem for path in chosen]
    (options.out / "thumbnails.json").write_text(json.dumps(names, indent=0) + "\n")
    print(f"{len(asked)} asked for, {len(others)} others")


if __name__ == "__main__":
    main()
