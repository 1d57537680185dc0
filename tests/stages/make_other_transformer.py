"""Writes other_transformer.json: runs of PixArtAlphaPipeline with a transformer and a scheduler that are not its own, as
PixArt-DMD is used.

Made with diffusers 0.42.1, torch 2.13.0 (CPU) by `python make_other_transformer.py`. The other transformer is that of
tiny-alpha-512 with the weights of its last projection halved, which is exact in float32.
"""

import json
import pathlib

import diffusers
import torch

diffusers.logging.set_verbosity_error()
here = pathlib.Path(__file__).parent
checkpoint = here.parent / "goldens/checkpoints/tiny-alpha-512"
SCHEDULER = {"clip_sample": False, "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02}
CASES = [
    {"timesteps": [400], "num_inference_steps": 1, "guidance_scale": 1.0},
    {"num_inference_steps": 4, "guidance_scale": 4.5},
]


def run(case):
    transformer = diffusers.PixArtTransformer2DModel.from_pretrained(checkpoint, subfolder="transformer")
    with torch.no_grad():
        transformer.proj_out.weight.mul_(0.5)
        transformer.proj_out.bias.mul_(0.5)
    pipeline = diffusers.PixArtAlphaPipeline.from_pretrained(checkpoint, transformer=transformer)
    pipeline.scheduler = diffusers.DDPMScheduler(**SCHEDULER)
    pipeline.set_progress_bar_config(disable=True)
    latents = pipeline(
        "cute cat",
        height=48,
        width=64,
        use_resolution_binning=False,
        generator=torch.Generator("cpu").manual_seed(7),
        output_type="latent",
        **case,
    ).images
    return {"case": case, "shape": list(latents.shape), "latents": latents.flatten().tolist()}


runs = {"scheduler": SCHEDULER, "runs": [run(case) for case in CASES]}
(here / "other_transformer.json").write_text(json.dumps(runs) + "\n")
