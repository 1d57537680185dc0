"""Makes drawings for a LoRA: the embedded model draws a list of words, and this script redraws the pictures in coloured
chalk on a slate.

  python chalk_drawings.py out/chalk
"""
import json
import os
import sys

import numpy as np
import torch
from PIL import Image, ImageFilter

from checkpoint import read_config, read_network
from diffusion import sample_dpm
from pictures import MODEL, read_captions

SUBJECTS = [
    "apple", "banana", "bear face", "bell", "bicycle", "bird", "blue fish", "boat", "book", "bus", "butterfly", "cactus",
    "camera", "carrot", "cherries", "clock", "cloud", "cow face", "crown", "duck", "elephant", "flower", "fox face",
    "frog face", "green leaf", "hat", "hot air balloon", "ice cream", "key", "lemon", "lion face", "mushroom", "owl",
    "panda face", "pear", "rabbit face", "rainbow", "shell", "snail", "snowman", "star", "strawberry", "teddy bear",
    "tiger face", "turtle", "umbrella", "watermelon", "whale",
]
SLATE = np.array([44, 62, 60], np.float32)
CHALK = np.array([242, 240, 228], np.float32)
STEPS, GUIDANCE, SEED, BATCH = 8, 2.5, 0, 8


def chalk(picture):
    """Bright lines where colours change, and a thin wash of the colours between them; a PIL picture."""
    rgb = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.2)), np.float32)
    across, down = np.gradient(rgb, axis=1), np.gradient(rgb, axis=0)
    lines = np.clip(np.sqrt((across ** 2 + down ** 2).sum(2)) / 26 - 0.12, 0, 1)
    lines = np.asarray(Image.fromarray((255 * lines).astype(np.uint8)).filter(ImageFilter.MaxFilter(3)), np.float32) / 255
    # the model's backgrounds are white, so every pixel that is not white belongs to the drawing
    colour = np.asarray(picture, np.float32)
    wash = np.clip((255 - colour.min(2)) / 200, 0, 1)[..., None] * 0.42
    board = SLATE + (colour - SLATE) * wash
    strokes = 0.7 * CHALK + 0.3 * colour
    return Image.fromarray(np.clip(board + (strokes - board) * lines[..., None], 0, 255).astype(np.uint8))


@torch.no_grad()
def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    transformer, text_encoder, vae = (
        read_network(MODEL, part).to(device) for part in ("transformer", "text_encoder", "vae"))
    scaling = read_config(MODEL, "vae")["scaling_factor"]
    noise = torch.randn(1, 4, 32, 32, generator=torch.Generator().manual_seed(SEED)).to(device)
    for first in range(0, len(SUBJECTS), BATCH):
        ids, mask = (values.to(device) for values in read_captions(SUBJECTS[first:first + BATCH]))
        latents = sample_dpm(transformer, text_encoder, ids, mask, noise.expand(len(ids), -1, -1, -1), STEPS, GUIDANCE)
        drawn = ((vae.decode(latents / scaling).clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        for number, pixels in enumerate(drawn, first):
            chalk(Image.fromarray(pixels)).save(os.path.join(folder, f"{number:03}.png"))
    with open(os.path.join(folder, "captions.json"), "w", encoding="utf-8") as f:
        json.dump(SUBJECTS, f, indent=1)


if __name__ == "__main__":
    main()
