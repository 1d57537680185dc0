"""Check the model with diffusers and transformers: that it loads unchanged, that its arithmetic is that of networks/, and
that its settings hold; then draw the prompts.

  python verify.py SAMPLES.png [--few-steps] [--seed 0]
"""
import argparse
import json
import os

import torch
from diffusers import AutoencoderKL, LCMScheduler, PixArtAlphaPipeline, PixArtTransformer2DModel
from transformers import T5EncoderModel, T5Tokenizer

from checkpoint import read_network
from pictures import MODEL, read_prompts, write_sheet

CLOSE = 1e-3
REFERENCES = {"transformer": PixArtTransformer2DModel, "vae": AutoencoderKL, "text_encoder": T5EncoderModel}


def load_pipeline(few_steps):
    """The pipeline in float32, and its call arguments of pixstage.json or pixstage.lcm.json."""
    with open(os.path.join(MODEL, "pixstage.lcm.json" if few_steps else "pixstage.json"), encoding="utf-8") as f:
        settings = json.load(f)
    pipeline = PixArtAlphaPipeline.from_pretrained(MODEL, dtype=torch.float32, variant="lcm" if few_steps else None)
    if few_steps:
        pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    arguments = dict(num_inference_steps=settings["steps"], guidance_scale=settings["guidanceScale"], height=256, width=256)
    return pipeline, arguments


def load_both(part, variant=None):
    """A part of the model, loaded from the same files by the reference and by networks/."""
    options = {} if part != "transformer" else dict(variant=variant)
    reference, info = REFERENCES[part].from_pretrained(
        MODEL, subfolder=part, dtype=torch.float32, output_loading_info=True, **options)
    wrong = {k: v for k, v in info.items() if v}
    if wrong:
        raise ValueError(f"{part} must load unchanged: {wrong}")
    return reference.eval(), read_network(MODEL, part, variant).eval()


def compare(name, reference, own):
    difference = (reference - own).abs().max().item()
    print(f"{name}: largest difference from networks/ {difference:.2g}, of values up to {reference.abs().max().item():.3g}")
    if difference > CLOSE:
        raise ValueError(f"{name} must agree with networks/ to {CLOSE}: the largest difference is {difference}")


@torch.no_grad()
def compare_all():
    random = torch.Generator().manual_seed(0)
    tokens = T5Tokenizer.from_pretrained(MODEL, subfolder="tokenizer")(
        read_prompts()[:4], padding="max_length", max_length=120, return_tensors="pt")
    mask = tokens.attention_mask.bool()
    reference, own = load_both("text_encoder")
    text = reference(tokens.input_ids, attention_mask=tokens.attention_mask)[0]
    compare("text encoder", text[mask], own(tokens.input_ids, mask)[mask])
    latents = torch.randn(4, 4, 32, 32, generator=random)
    timesteps = torch.tensor([999, 600, 200, 3])
    for variant in (None, "lcm"):
        reference, own = load_both("transformer", variant)
        out = reference(latents, text, timestep=timesteps, encoder_attention_mask=tokens.attention_mask, return_dict=False)[0]
        compare(f"transformer {variant or ''}", out, own(latents, timesteps, text, mask))
    reference, own = load_both("vae")
    compare("decoder", reference.decode(latents[:1]).sample, own.decode(latents[:1]))
    pictures = torch.randn(1, 3, 256, 256, generator=random).clamp(-1, 1)
    compare("encoder", reference.encode(pictures).latent_dist.mean, own.encode(pictures)[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", help="the file to write")
    parser.add_argument("--few-steps", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    compare_all()
    pipeline, arguments = load_pipeline(options.few_steps)
    pictures = [
        pipeline(prompt, generator=torch.Generator("cpu").manual_seed(options.seed), output_type="pt", **arguments).images
        for prompt in read_prompts()]
    write_sheet(torch.cat(pictures) * 2 - 1, options.samples, 8, read_prompts())


if __name__ == "__main__":
    main()
