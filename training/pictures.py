"""Sheets of pictures, and samples of the prompts by which the model is judged."""
import os

import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer

from dataset.tokens import tokenize
from diffusion import sample_dpm, sample_lcm

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models", "pixstage-emoji")
LABEL_HEIGHT = 18


def read_prompts():
    with open(os.path.join(MODEL, "prompts.txt"), encoding="utf-8") as f:
        return [line.strip() for line in f if line.strip()]


def read_captions(captions, longest=32):
    """Ids and mask [N, longest] of captions, as the text encoder takes them."""
    tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer", "tokenizer.json"))
    ids, lengths = tokenize(tokenizer, captions, longest)
    return ids.long(), torch.arange(longest)[None] < lengths[:, None]


def write_sheet(pictures, file, columns, labels=None):
    """Arranges pictures [N, 3, H, W] in -1..1 in rows of the given number of columns."""
    pixels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    count, height, width, _ = pixels.shape
    top = LABEL_HEIGHT if labels else 0
    sheet = Image.new("RGB", (columns * width, -(-count // columns) * (height + top)), "white")
    for i, one in enumerate(pixels):
        left, upper = i % columns * width, i // columns * (height + top)
        sheet.paste(Image.fromarray(one), (left, upper + top))
        if labels:
            ImageDraw.Draw(sheet).text((left + 4, upper + 3), labels[i], fill="black")
    sheet.save(file, optimize=True)


@torch.no_grad()
def write_samples(session, recipe, networks, scaling, tokenizer, file, few_steps=0, seed=0):
    """The prompts drawn by (transformer, text_encoder, autoencoder); few_steps: by the few-step variant."""
    transformer, text_encoder, autoencoder = networks
    prompts = read_prompts()
    ids, lengths = (t.to(session.device) for t in tokenize(tokenizer, prompts, recipe.tokens))
    mask = torch.arange(recipe.tokens, device=session.device)[None] < lengths[:, None]
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(prompts), 4, 32, 32, generator=generator).to(session.device)
    with session.autocast():
        start = (transformer, text_encoder, ids.long(), mask, noise)
        if few_steps:
            latents = sample_lcm(*start, few_steps, generator)
        else:
            latents = sample_dpm(*start, recipe.steps, recipe.guidance)
        decoded = autoencoder.decode(latents / scaling)
    write_sheet(decoded, session.path(file), 8, prompts)
