"""Writes tiled_reference.json: pictures that diffusers decodes tile by tile, each 389th value.

Made with diffusers 0.42.1, torch 2.13.0 (CPU) by `python make_tiled_reference.py`. `limit` is five times the difference
between the same decoding in float32 and in float64.
"""

import json
import pathlib

import diffusers
import torch

here = pathlib.Path(__file__).parent
checkpoints = here.parent / "goldens/checkpoints"
STRIDE = 389
# Latents, and pixels of a tile and of the overlap; ends of all kinds: whole, of some latents, of a single one.
CASES = [
    ("tiny-alpha-512/vae", 24, 20, 128, 32),
    ("tiny-alpha-512/vae", 25, 13, 64, 16),
    ("tiny-alpha-512/vae", 16, 40, 128, 64),
    ("tiny-alpha-512/vae", 12, 16, 128, 32),
    ("tiny-sigma/vae", 17, 31, 96, 24),
    ("tiny-taesd", 24, 20, 128, 16),
    ("tiny-taesd", 16, 16, 128, 32),
    ("tiny-taesd", 17, 13, 64, 16),
]


def decode(checkpoint, height, width, tile, overlap, dtype):
    is_tiny = checkpoint == "tiny-taesd"
    of = diffusers.AutoencoderTiny if is_tiny else diffusers.AutoencoderKL
    vae = of.from_pretrained(checkpoints / checkpoint).to(dtype)
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = tile, tile // 8
    vae.tile_overlap_factor = overlap / tile
    latents = torch.randn((1, 4, height, width), generator=torch.Generator("cpu").manual_seed(1)).to(dtype)
    with torch.no_grad():
        return vae.decode(latents).sample


def run(*case):
    single, double = decode(*case, torch.float32), decode(*case, torch.float64)
    limit = 5 * (single - double).abs().max().item()
    names = ("checkpoint", "height", "width", "tileSize", "tileOverlap")
    return {**dict(zip(names, case)), "shape": list(single.shape), "limit": limit, "values": single.flatten()[::STRIDE].tolist()}


runs = [run(*case) for case in CASES]
(here / "tiled_reference.json").write_text(json.dumps({"stride": STRIDE, "runs": runs}) + "\n")
