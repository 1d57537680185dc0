"""Makes pictures and latents of a few prompts with diffusers, in float32 on the CPU, with the settings of pixstage.json
and noise from torch.Generator("cpu").manual_seed(0). Tests compare pixstage's pictures with them.

  python reference_pictures.py ../tests/models/pixstage-emoji/reference
"""
import json
import os
import sys

import diffusers
import torch
from safetensors.torch import save_file

from verify import load_pipeline

PROMPTS = ["cute cat", "red car", "a green apple", "red heart", "a tree on a blue background"]
SEED = 0


def draw(pipeline, arguments, prompt):
    """Final latents [1, 4, 32, 32] (scaled), and the picture, uint8 [256, 256, 3]."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    latents = pipeline(prompt, generator=generator, output_type="latent", **arguments).images
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
    picture = pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
    return latents, picture


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    torch.set_num_threads(1)
    cases = []
    for name, few_steps, prompts in (("default", False, PROMPTS), ("lcm", True, PROMPTS[:2])):
        pipeline, arguments = load_pipeline(few_steps)
        latents = {}
        for number, prompt in enumerate(prompts):
            key = f"{name}-{number}"
            latents[key], picture = draw(pipeline, arguments, prompt)
            picture.save(os.path.join(folder, f"{key}.png"), optimize=True)
            cases.append(dict(key=key, prompt=prompt, seed=SEED, variant="lcm" if few_steps else None,
                              steps=arguments["num_inference_steps"], guidanceScale=arguments["guidance_scale"]))
        file = os.path.join(folder, f"{name}-latents.safetensors")
        save_file(latents, file)
        os.chmod(file, 0o644)
    versions = dict(torch=torch.__version__, diffusers=diffusers.__version__)
    with open(os.path.join(folder, "manifest.json"), "w", encoding="utf-8") as f:
        json.dump(dict(made_with=versions, width=256, height=256, cases=cases), f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    main()
