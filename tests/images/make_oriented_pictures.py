"""Writes oriented_pictures.json: small pictures with Exif orientations, and the results of Pillow's exif_transpose.

    python tests/images/make_oriented_pictures.py
"""

import base64
import io
import json
import pathlib

from PIL import Image, ImageOps

# Blocks of one colour each, because JPEG preserves them almost exactly.
COLOURS = [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (10, 250, 250), (250, 10, 250)]


def picture() -> Image.Image:
    image = Image.new("RGB", (24, 16))
    for index, colour in enumerate(COLOURS):
        image.paste(colour, (index % 3 * 8, index // 3 * 8, index % 3 * 8 + 8, index // 3 * 8 + 8))
    return image


def stored(image: Image.Image, file_format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[file_format]
    image.save(file, file_format, exif=exif, **options)
    return file.getvalue()


cases = []
for orientation in range(1, 9):
    for file_format in ("PNG", "JPEG", "WEBP"):
        if file_format != "PNG" and orientation not in (1, 6):
            continue
        data = stored(picture(), file_format, orientation)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        cases.append({
            "format": file_format.lower(),
            "orientation": orientation,
            "file": base64.b64encode(data).decode(),
            "width": upright.width,
            "height": upright.height,
            "pixels": base64.b64encode(upright.tobytes()).decode(),
        })
target = pathlib.Path(__file__).with_name("oriented_pictures.json")
target.write_text(json.dumps(cases, indent=1) + "\n")
