"""Writes resize_lanczos.json: sizes of pictures, and SHA-256s of what Pillow's Lanczos makes of them."""

import hashlib
import json
import pathlib
import random

import numpy
import PIL
from PIL import Image

SIZES = [
    # The height shrinks by more than twice as much as the width: the columns are resized first.
    ((60, 80), (51, 51)),
    ((60, 80), (60, 40)),
    ((9, 40), (20, 8)),
    # By just twice as much: the rows are.
    ((60, 80), (50, 60)),
    ((80, 60), (51, 51)),
]
draw = random.Random(13)
SIZES += [tuple((draw.randint(1, 70), draw.randint(1, 70)) for _ in range(2)) for _ in range(40)]

cases = []
for (width, height), size in SIZES:
    y, x, c = numpy.mgrid[:height, :width, :3]
    pixels = ((x * 7 + y * 13 + c * 29) ** 2 % 251).astype(numpy.uint8)
    made = Image.fromarray(pixels).resize(size, Image.LANCZOS)
    cases.append({"from": [width, height], "to": size, "sha256": hashlib.sha256(made.tobytes()).hexdigest()})
path = pathlib.Path(__file__).with_name("resize_lanczos.json")
path.write_text(json.dumps({"pillow": PIL.__version__, "cases": cases}, indent=1) + "\n")
