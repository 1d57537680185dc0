"""Makes a picture with diffusers' own low-memory recipe: encode, delete, denoise, delete, decode.

Prints one line of JSON: the seconds and peak resident bytes of each part and of the whole.

    python bench/memory_diffusers.py DIR float32|bfloat16 STEPS PROMPT

Source of the recipe: https://huggingface.co/docs/diffusers/api/pipelines/pixart, on a CPU and without its 8-bit library,
which needs a GPU.
"""

import gc
import json
import sys
import time

import torch
from diffusers import PixArtAlphaPipeline
from transformers import T5EncoderModel

folder, dtype_name, steps, prompt = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
dtype = getattr(torch, dtype_name)
parts = {}


def status(key: str) -> int:
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(f"{key}:"))


class Part:
    def __init__(self, name: str):
        self.name = name

    def __enter__(self):
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        self.started = time.time()

    def __exit__(self, *_):
        parts[self.name] = {"seconds": time.time() - self.started, "peak": status("VmHWM")}
        print(self.name, parts[self.name], file=sys.stderr, flush=True)
        gc.collect()


with torch.no_grad():
    with Part("encode"):
        text_encoder = T5EncoderModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=dtype)
        pipe = PixArtAlphaPipeline.from_pretrained(folder, text_encoder=text_encoder, transformer=None, torch_dtype=dtype)
        embeds = pipe.encode_prompt(prompt)
        del text_encoder, pipe
    with Part("denoise"):
        pipe = PixArtAlphaPipeline.from_pretrained(folder, text_encoder=None, torch_dtype=dtype)
        latents = pipe(
            negative_prompt=None,
            prompt_embeds=embeds[0],
            prompt_attention_mask=embeds[1],
            negative_prompt_embeds=embeds[2],
            negative_prompt_attention_mask=embeds[3],
            num_inference_steps=steps,
            guidance_scale=4.5,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
        ).images
        del pipe.transformer
    with Part("decode"):
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]
        assert image.shape[-1] == 1024 and bool(torch.isfinite(image).all())

print(json.dumps({
    "parts": parts,
    "seconds": sum(part["seconds"] for part in parts.values()),
    "peak": max(part["peak"] for part in parts.values()),
}))
