"""Writes other_configs.json: results of diffusers and transformers with configurations that no tiny checkpoint has.

Made with diffusers 0.42.1, transformers 5.24, torch 2.13.0 (CPU) by `python make_other_configs.py`. The weights are those
of tiny-alpha-512, cut and renamed as the configuration needs it. `limit` is five times the difference between the same run
in float32 and in float64, as a share of the largest value.
"""

import json
import pathlib
import tempfile

import diffusers
import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

diffusers.logging.set_verbosity_error()
here = pathlib.Path(__file__).parent
checkpoint = here.parent / "goldens/checkpoints/tiny-alpha-512"
TEXT_WIDTH = 32
TRANSFORMERS = [{"activation_fn": "gelu"}, {"caption_channels": None, "cross_attention_dim": TEXT_WIDTH}]
NAMES = ["gated-silu", "gated-relu", "gated-gelu_new", "relu", "silu", "gelu", "gelu_new"]
# The settings that transformers saves beside the name take precedence over it.
FEED_FORWARDS = [{"feed_forward_proj": name, "dense_act_fn": None, "is_gated_act": None} for name in NAMES]
FEED_FORWARDS += [
    {"feed_forward_proj": "gated-silu", "dense_act_fn": "relu", "is_gated_act": True},
    {"feed_forward_proj": "gated-gelu", "dense_act_fn": None, "is_gated_act": False},
]
FLOAT8 = {"float8e4m3fn": torch.float8_e4m3fn, "float8e5m2": torch.float8_e5m2}
IDS = [71, 300, 5, 800, 1]


def model(of, folder, file, change, rename):
    with tempfile.TemporaryDirectory() as other:
        path = pathlib.Path(other)
        config = json.loads((checkpoint / folder / "config.json").read_text())
        removed = [key for key in ("dense_act_fn", "is_gated_act") if change.get(key, 0) is None]
        config = {key: value for key, value in {**config, **change}.items() if key not in removed}
        (path / "config.json").write_text(json.dumps(config))
        tensors = dict(filter(None, (rename(*item) for item in load_file(checkpoint / folder / file).items())))
        save_file(tensors, path / file, metadata={"format": "pt"})
        return of.from_pretrained(path, torch_dtype=torch.float32)


def latents(change, dtype):
    def rename(name, tensor):
        if change.get("caption_channels", 1) is None:
            if name.startswith("caption_projection."):
                return None
            if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
                tensor = tensor[:, :TEXT_WIDTH].contiguous()
        return name, tensor

    file = "diffusion_pytorch_model.safetensors"
    transformer = model(diffusers.PixArtTransformer2DModel, "transformer", file, change, rename)
    pipeline = diffusers.PixArtAlphaPipeline.from_pretrained(checkpoint, transformer=transformer).to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        "cute cat",
        height=48,
        width=64,
        num_inference_steps=2,
        use_resolution_binning=False,
        latents=torch.randn((1, 4, 6, 8), generator=torch.Generator("cpu").manual_seed(7)).to(dtype),
        output_type="latent",
    ).images


def transformer_run(change):
    single, double = latents(change, torch.float32), latents(change, torch.float64)
    limit = 5 * ((single - double).abs().max() / single.abs().max()).item()
    return {"config": change, "limit": limit, "latents": single.flatten().tolist()}


def hidden(change):
    gated = change["is_gated_act"]
    is_gated = change["feed_forward_proj"].startswith("gated-") if gated is None else gated

    def rename(name, tensor):
        if is_gated:
            return name, tensor
        return None if ".wi_1." in name else (name.replace(".wi_0.", ".wi."), tensor)

    t5 = model(T5EncoderModel, "text_encoder", "model.safetensors", change, rename)
    with torch.no_grad():
        return t5(torch.tensor([IDS]))[0]


def hidden_of_float8(dtype):
    t5 = model(T5EncoderModel, "text_encoder", "model.safetensors", {}, lambda name, tensor: (name, tensor.to(dtype)))
    with torch.no_grad():
        return t5(torch.tensor([IDS]))[0]


results = {
    "transformers": [transformer_run(change) for change in TRANSFORMERS],
    "ids": IDS,
    "textEncoders": [{"config": change, "hidden": hidden(change).flatten().tolist()} for change in FEED_FORWARDS],
    "float8": [{"dtype": name, "hidden": hidden_of_float8(dtype).flatten().tolist()} for name, dtype in FLOAT8.items()],
}
(here / "other_configs.json").write_text(json.dumps(results) + "\n")
