"""The data set as one file: b"EMJPACK2", the length of a zlib-compressed JSON header as uint64, the header, WebP blobs.

Header: {"styles": [...], "emoji": [...], "pictures": [[emoji, style, offset, length, colour], ...]}, offsets from the
end of the header, colour as dataset.colours gives it. Pictures are 256 x 256 pixels with transparency.
"""
import hashlib
import io
import json
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from dataset.colours import main_colour

MAGIC = b"EMJPACK2"
SIDE = 256


def squared(image):
    """The drawing in the middle of a transparent square."""
    if image.size == (SIDE, SIDE):
        return image
    image.thumbnail((SIDE, SIDE), Image.LANCZOS)
    square = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    square.paste(image, ((SIDE - image.width) // 2, (SIDE - image.height) // 2))
    return square


def compressed(image):
    """Encodes as WebP, without loss if the result is small."""
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True, quality=60, method=3)
    if out.tell() > 6000:
        out = io.BytesIO()
        image.save(out, "WEBP", quality=90, method=4, alpha_quality=80)
    return out.getvalue()


def read_drawing(path):
    """(WebP bytes, main colour), or None if the drawing is missing or empty."""
    if not os.path.exists(path):
        return None
    original = Image.open(path)
    image = squared(original.convert("RGBA"))
    if (np.asarray(image)[..., 3] > 128).mean() < 0.012:
        return None
    if path.endswith(".webp") and original.size == (SIDE, SIDE):
        with open(path, "rb") as f:
            return f.read(), main_colour(image)
    return compressed(image), main_colour(image)


def write_pack(path, styles, emoji, drawings):
    """drawings: [(emoji, style, file)]. Equal pictures are stored once. Returns the number of pictures."""
    blobs, offset, places, pictures = [], 0, {}, []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for (which, style, _), read in zip(drawings, pool.map(lambda d: read_drawing(d[2]), drawings)):
            if read is None:
                continue
            blob, colour = read
            key = hashlib.sha1(blob).digest()
            if key not in places:
                places[key] = (offset, len(blob))
                blobs.append(blob)
                offset += len(blob)
            pictures.append([which, style, *places[key], colour])
    header = json.dumps(dict(styles=styles, emoji=emoji, pictures=pictures), ensure_ascii=False)
    header = zlib.compress(header.encode(), 9)
    with open(path, "wb") as f:
        f.write(MAGIC + struct.pack("<Q", len(header)) + header + b"".join(blobs))
    return len(pictures)


class Pack:
    """A data set in memory: styles, emoji, and the list of pictures."""

    def __init__(self, path, limit=0):
        """limit: maximum number of pictures, taken evenly from the whole set."""
        with open(path, "rb") as f:
            self.bytes = f.read()
        if self.bytes[:8] != MAGIC:
            raise ValueError(f"Data set must begin with {MAGIC}: {path} begins with {self.bytes[:8]}")
        length = struct.unpack("<Q", self.bytes[8:16])[0]
        header = json.loads(zlib.decompress(self.bytes[16:16 + length]))
        self.start = 16 + length
        self.styles, self.emoji, self.pictures = header["styles"], header["emoji"], header["pictures"]
        if limit:
            self.pictures = self.pictures[:: max(1, len(self.pictures) // limit)][:limit]

    def images(self):
        """All pictures, uint8 [N, 4, 256, 256], colour not multiplied by alpha."""
        out = torch.empty(len(self.pictures), 4, SIDE, SIDE, dtype=torch.uint8)

        def read(i):
            offset, length = self.pictures[i][2:4]
            start = self.start + offset
            image = Image.open(io.BytesIO(self.bytes[start:start + length])).convert("RGBA")
            out[i] = torch.from_numpy(np.array(image)).permute(2, 0, 1)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(read, range(len(self.pictures))))
        return out
