"""The main colour of a drawing: what a caption may call it, and whether it can be changed."""
import numpy as np
from PIL import Image

NAMES = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray"]
HUES = [(0, 16, "red"), (16, 41, "orange"), (41, 68, "yellow"), (68, 168, "green"), (168, 250, "blue"),
        (250, 292, "purple"), (292, 340, "pink"), (340, 360.1, "red")]


def main_colour(image):
    """[name or "", main hue in degrees, 1 if a turn of the hue recolours it, 1 if a tint does]."""
    pixels = np.asarray(image.resize((64, 64), Image.BOX), dtype=np.float32) / 255
    opaque = pixels[..., 3] > 0.6
    if opaque.sum() < 20:
        return ["", 0, 0, 0]
    rgb = pixels[..., :3][opaque]
    red, green, blue = rgb.T
    value, low = rgb.max(1), rgb.min(1)
    chroma = value - low
    saturation = np.where(value > 0, chroma / np.maximum(value, 1e-6), 0)
    safe = np.maximum(chroma, 1e-6)
    hue = 60 * np.select(
        [value == red, value == green], [(green - blue) / safe % 6, (blue - red) / safe + 2], (red - green) / safe + 4)

    label = np.full(len(hue), -1)
    grey = saturation < 0.16
    label[grey & (value > 0.82)] = NAMES.index("white")
    label[grey & (value <= 0.82)] = NAMES.index("gray")
    label[(value < 0.3) | (grey & (value < 0.38))] = NAMES.index("black")
    coloured = label < 0
    for start, end, name in HUES:
        label[coloured & (hue >= start) & (hue < end)] = NAMES.index(name)
    label[coloured & ((hue < 18) | (hue >= 325)) & (value > 0.8) & (saturation < 0.55)] = NAMES.index("pink")
    label[coloured & (hue < 42) & (value < 0.68) & (saturation > 0.2)] = NAMES.index("brown")
    share = np.bincount(label, minlength=len(NAMES)) / len(label)

    strong = coloured & (saturation > 0.25)
    main, turns = 0.0, False
    if strong.mean() > 0.35:
        weight = (saturation * value)[strong]
        main = float(np.rad2deg(np.angle((weight * np.exp(1j * np.deg2rad(hue[strong]))).sum())) % 360)
        distance = np.abs((hue[strong] - main + 180) % 360 - 180)
        turns = (weight * (distance < 32)).sum() / weight.sum() > 0.7
    most = int(share.argmax())
    tints = share[NAMES.index("white")] + share[NAMES.index("gray")] > 0.5
    return [NAMES[most] if share[most] > 0.5 else "", round(main), int(turns), int(tints)]
