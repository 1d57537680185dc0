"""Begins pictures in pixstage and finishes them in diffusers, and the reverse. See README.md beside this file."""

import argparse
import math
import shlex
import subprocess
import tempfile
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[2]
PROMPT = "A small cactus with a happy face in the Sahara desert."
SEED = 7

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("checkpoint", help="a checkpoint's folder")
parser.add_argument("--size", type=int, default=128)
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--guidance", type=float, default=4.5)
parser.add_argument("--deno", default="npx -y deno@2.9.6", help="how Deno is called")
options = parser.parse_args()


def pixstage(*arguments: str) -> None:
    """Runs `gen` with the common options."""
    common = ["-m", str(Path(options.checkpoint).resolve()), "--steps", str(options.steps), "--quiet"]
    common += ["--guidance-scale", str(options.guidance), "-H", str(options.size), "-W", str(options.size)]
    common += ["--seed", str(SEED), "--no-resolution-binning"]
    command = [*shlex.split(options.deno), "run", "-A", str(ROOT / "cli.ts"), "gen", *arguments, *common]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of two pictures from -1 to 1, in dB."""
    error = (a.clamp(-1, 1) - b.clamp(-1, 1)).square().mean().item()
    return math.inf if error == 0 else 10 * math.log10(4 / error)


def report(what: str, a: torch.Tensor, b: torch.Tensor) -> None:
    print(f"{what:62} largest difference {(a - b).abs().max().item():.1e}  PSNR {psnr(a, b):.1f} dB")


def noise() -> torch.Generator:
    return torch.Generator("cpu").manual_seed(SEED)


pipe = DiffusionPipeline.from_pretrained(options.checkpoint, torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
call = dict(height=options.size, width=options.size, num_inference_steps=options.steps,
            guidance_scale=options.guidance, use_resolution_binning=False, output_type="latent")


@torch.no_grad()
def decode(latents: torch.Tensor) -> torch.Tensor:
    return pipe.vae.decode(latents / pipe.vae.config.scaling_factor, return_dict=False)[0]


with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    path = {name: f"{folder}/{name}.safetensors" for name in
            ("embeds", "latents", "image", "their_embeds", "their_latents", "image_2", "image_3")}

    # Each side runs all stages by itself.
    pixstage(PROMPT, "--save-embeds", path["embeds"], "--save-latents", path["latents"], "--save-tensor", path["image"],
             "-o", f"{folder}/picture.png")
    ours = load_file(path["image"])["image"]
    their_latents = pipe(prompt=PROMPT, generator=noise(), **call).images
    theirs = decode(their_latents)
    report("all in pixstage, all in diffusers", ours, theirs)

    # pixstage encodes, and diffusers denoises and decodes.
    embeddings = load_file(path["embeds"])
    report("encoded in pixstage, finished in diffusers",
           decode(pipe(negative_prompt=None, generator=noise(), **embeddings, **call).images), theirs)

    # pixstage denoises, and diffusers decodes.
    report("denoised in pixstage, decoded in diffusers", decode(load_file(path["latents"])["latents"]), theirs)

    # diffusers encodes, and pixstage denoises and decodes. `encode_prompt` cleans captions only on request.
    names = ("prompt_embeds", "prompt_attention_mask", "negative_prompt_embeds", "negative_prompt_attention_mask")
    encoded = pipe.encode_prompt(PROMPT, do_classifier_free_guidance=options.guidance > 1, clean_caption=True)
    save_file({name: value.contiguous() for name, value in zip(names, encoded) if value is not None},
              path["their_embeds"])
    pixstage("--load-embeds", path["their_embeds"], "--save-tensor", path["image_2"], "-o", f"{folder}/picture.png")
    report("encoded in diffusers, finished in pixstage", load_file(path["image_2"])["image"], theirs)

    # diffusers denoises, and pixstage decodes.
    save_file({"latents": their_latents.contiguous()}, path["their_latents"])
    pixstage("--load-latents", path["their_latents"], "--save-tensor", path["image_3"], "-o", f"{folder}/picture.png")
    report("denoised in diffusers, decoded in pixstage", load_file(path["image_3"])["image"], theirs)
