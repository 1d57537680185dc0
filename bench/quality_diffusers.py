"""Compares diffusers' pictures of the embedded model in bfloat16 or float16 with those in float32.

    python bench/quality_diffusers.py [bfloat16] [float16]

Only the transformer computes in the other type, as in `--precision denoise=int8`. Prints the PSNR of each picture of
the model's prompts (8 steps, seed 0), the median and the least.
"""

import copy
import statistics
import sys
from pathlib import Path

import numpy
import torch
from diffusers import PixArtAlphaPipeline
from diffusers.utils import logging

FOLDER = Path(__file__).parents[1] / "models" / "pixstage-emoji"
prompts = (FOLDER / "prompts.txt").read_text().strip().split("\n")
logging.set_verbosity_error()
pipe = PixArtAlphaPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)


def latents(embeds, dtype):
    pipe.transformer = transformers[dtype]
    embeds = [e.to(dtype) if e.is_floating_point() else e for e in embeds]
    return pipe(
        negative_prompt=None,
        prompt_embeds=embeds[0],
        prompt_attention_mask=embeds[1],
        negative_prompt_embeds=embeds[2],
        negative_prompt_attention_mask=embeds[3],
        num_inference_steps=8,
        guidance_scale=2.5,
        height=256,
        width=256,
        use_resolution_binning=False,
        output_type="latent",
        generator=torch.Generator().manual_seed(0),
    ).images.float()


def pixels(latents):
    image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
    return ((image / 2 + 0.5).clamp(0, 1) * 255).round().numpy()


types = sys.argv[1:] or ["bfloat16"]
exact_transformer = pipe.transformer
transformers = {torch.float32: exact_transformer}
for name in types:
    dtype = getattr(torch, name)
    transformers[dtype] = copy.deepcopy(exact_transformer).to(dtype)
found = {name: [] for name in types}
with torch.no_grad():
    encoded = [pipe.encode_prompt(prompt, clean_caption=False) for prompt in prompts]
    # With a text encoder, the pipeline would cast the embeddings back to its type.
    pipe.text_encoder = None
    for prompt, embeds in zip(prompts, encoded):
        exact = pixels(latents(embeds, torch.float32))
        for name in types:
            error = numpy.mean((pixels(latents(embeds, getattr(torch, name))) - exact) ** 2)
            found[name].append(10 * numpy.log10(255**2 / error))
        print(prompt, *(f"{values[-1]:.1f}" for values in found.values()), flush=True)
for name, values in found.items():
    near = sum(value >= 35 for value in values)
    print(f"{name}: median {statistics.median(values):.1f} dB, least {min(values):.1f} dB, {near} at least 35 dB")
