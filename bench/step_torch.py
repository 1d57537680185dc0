"""The PyTorch side of step.ts: runs a step of diffusers' transformer, both branches as one batch, per line read."""

import sys
import time

import numpy
import torch
from diffusers import PixArtTransformer2DModel

folder, threads, side, padded, timestep, guidance = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])
tokens = [int(count) for count in sys.argv[7].split(",")]
dtype = getattr(torch, sys.argv[8])
torch.set_num_threads(threads)
model = PixArtTransformer2DModel.from_pretrained(folder, torch_dtype=dtype).eval()


def wave(shape, seed):
    index = numpy.arange(numpy.prod(shape), dtype=numpy.float64) % 100_003
    return torch.from_numpy(numpy.sin(seed * index**2).astype(numpy.float32)).reshape(shape)


latents = wave((1, model.config.in_channels, side, side), 1).repeat(2, 1, 1, 1)
texts = torch.zeros(2, padded, model.config.caption_channels)
mask = torch.zeros(2, padded)
for half, count in enumerate(tokens):
    texts[half, :count] = wave((count, model.config.caption_channels), 2 + half)
    mask[half, :count] = 1
sizes = {"resolution": None, "aspect_ratio": None}

for _ in sys.stdin:
    start = time.perf_counter()
    with torch.inference_mode():
        output = model(
            latents.to(dtype),
            encoder_hidden_states=texts.to(dtype),
            encoder_attention_mask=mask.to(dtype),
            timestep=torch.full((2,), timestep),
            added_cond_kwargs=sizes,
        ).sample.float()
        negative, prompt = output.chunk(2)
        guided = negative + guidance * (prompt - negative)
    seconds = time.perf_counter() - start
    guided.numpy().tofile(f"{folder}/torch.f32")
    print(seconds, flush=True)
