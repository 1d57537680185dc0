"""Write trained weights as a diffusers checkpoint: float16 safetensors, no file over the size limit.

  python export.py --out OUT MODEL_FOLDER    from the checkpoints of train.py
"""
import argparse
import json
import math
import os
import shutil

import torch
from safetensors.torch import save_file

LARGEST_FILE = 15 * 2 ** 20
DIFFUSERS = "0.30.0"   # the oldest version that can read the files
WEIGHTS = "diffusion_pytorch_model"
SCHEDULER = dict(
    _class_name="DPMSolverMultistepScheduler", algorithm_type="dpmsolver++", beta_start=0.0001, beta_end=0.02,
    beta_schedule="linear", trained_betas=None, num_train_timesteps=1000, prediction_type="v_prediction",
    solver_order=2, solver_type="midpoint", lower_order_final=True, euler_at_final=False, use_karras_sigmas=False,
    thresholding=False, dynamic_thresholding_ratio=0.995, sample_max_value=1.0, steps_offset=0,
    timestep_spacing="linspace", final_sigmas_type="zero", variance_type=None)
PIPELINE = dict(
    _class_name="PixArtAlphaPipeline", scheduler=["diffusers", "DPMSolverMultistepScheduler"],
    text_encoder=["transformers", "T5EncoderModel"], tokenizer=["transformers", "T5Tokenizer"],
    transformer=["diffusers", "PixArtTransformer2DModel"], vae=["diffusers", "AutoencoderKL"])


def write_json(content, *path):
    with open(os.path.join(*path), "w", encoding="utf-8") as f:
        json.dump(content, f, indent=2)
        f.write("\n")


def write_weights(weights, file):
    halves = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in weights.items()}
    wrong = [k for k, v in halves.items() if not torch.isfinite(v).all()]
    if wrong:
        raise ArithmeticError(f"Weights must be finite in float16: these are not: {wrong}")
    save_file(halves, file, metadata={"format": "pt"})
    os.chmod(file, 0o644)


def split(weights, limit):
    """Splits the weights into as few parts as the limit allows, of about equal size."""
    total = sum(2 * w.numel() for w in weights.values())
    each = total / math.ceil(total / (limit * 0.95))
    parts, size = [{}], 0
    for name, weight in weights.items():
        if size + 2 * weight.numel() > each + 2 ** 18 and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][name] = weight
        size += 2 * weight.numel()
    return parts


def write_index(parts, folder, variant=""):
    """parts: {file name: weights}."""
    total = sum(2 * w.numel() for weights in parts.values() for w in weights.values())
    names = {name: file for file, weights in parts.items() for name in weights}
    write_json(dict(metadata=dict(total_size=total), weight_map=dict(sorted(names.items()))), folder,
               f"{WEIGHTS}.safetensors.index{variant}.json")


def write_transformer(transformer, few_step, changed, folder):
    """The transformer in shards, and the few-step variant as a second index ("lcm"): it shares the shards of all weights
    that are the same, as those that differ are kept apart."""
    os.makedirs(folder)
    write_json(dict(transformer.config, _diffusers_version=DIFFUSERS), folder, "config.json")
    weights = transformer.state_dict()
    own = {k: v for k, v in weights.items() if k in changed}
    parts = split({k: v for k, v in weights.items() if k not in changed}, LARGEST_FILE) + ([own] if own else [])
    named = {f"{WEIGHTS}-{i + 1:05d}-of-{len(parts):05d}.safetensors": part for i, part in enumerate(parts)}
    write_index(named, folder)
    for file, part in named.items():
        write_weights(part, os.path.join(folder, file))
    if few_step is not None:
        other = few_step.state_dict()
        last = list(named)[-1]
        file = last.replace(WEIGHTS, f"{WEIGHTS}.lcm")
        write_weights({k: other[k] for k in own}, os.path.join(folder, file))
        write_index({**{f: p for f, p in named.items() if f != last}, file: own}, folder, ".lcm")


def write_checkpoint(folder, networks, scaling, few_step=None, changed=()):
    """networks: (transformer, text_encoder, autoencoder); changed: names of the few-step variant's own weights.
    Other files in the folder stay."""
    transformer, text_encoder, autoencoder = networks
    for part in ("transformer", "text_encoder", "vae", "scheduler"):
        shutil.rmtree(os.path.join(folder, part), ignore_errors=True)
    for part in ("text_encoder", "vae", "scheduler"):
        os.makedirs(os.path.join(folder, part))
    write_json(dict(PIPELINE, _diffusers_version=DIFFUSERS), folder, "model_index.json")
    write_json(dict(SCHEDULER, _diffusers_version=DIFFUSERS), folder, "scheduler", "scheduler_config.json")
    write_json(dict(text_encoder.config, torch_dtype="float16"), folder, "text_encoder", "config.json")
    write_weights(text_encoder.state_dict(), os.path.join(folder, "text_encoder", "model.safetensors"))
    vae_config = dict(autoencoder.config, scaling_factor=scaling, _diffusers_version=DIFFUSERS)
    write_json(vae_config, folder, "vae", "config.json")
    write_weights(autoencoder.state_dict(), os.path.join(folder, "vae", f"{WEIGHTS}.safetensors"))
    write_transformer(transformer, few_step, set(changed), os.path.join(folder, "transformer"))
    sizes = {os.path.join(root, f): os.path.getsize(os.path.join(root, f)) for root, _, files in os.walk(folder) for f in files}
    too_large = {f: s for f, s in sizes.items() if s > LARGEST_FILE}
    if too_large:
        raise ValueError(f"Files must be at most {LARGEST_FILE} bytes: these are larger: {too_large}")
    return sum(sizes.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="the output folder of train.py")
    parser.add_argument("folder")
    options = parser.parse_args()
    trained = torch.load(os.path.join(options.out, "trained.pt"), map_location="cpu", weights_only=False)
    print(write_checkpoint(options.folder, **trained), "bytes")


if __name__ == "__main__":
    main()
