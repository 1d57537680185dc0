"""Checks that a synthetic checkpoint has the names, shapes and shards of diffusers' own classes.

The classes are built from the checkpoint's configurations on the meta device, so nothing is allocated.

    python tests/interop/synthetic_shapes.py DIR
"""

import json
import struct
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, PixArtTransformer2DModel
from transformers import T5Config, T5EncoderModel


def stored(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """File and shape of every tensor of a component."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            assert name not in found, f"{name} stands in two files"
            found[name] = path.name, tuple(entry["shape"])
    index = folder / "model.safetensors.index.json"
    if index.exists():
        weight_map = json.loads(index.read_text())["weight_map"]
        assert weight_map == {name: file for name, (file, _) in found.items()}, "the index differs from the files"
    return found


def shards(model: torch.nn.Module, limit: float) -> list[list[str]]:
    """Cuts a float32 model as save_pretrained does: in order, each shard as full as it can be."""
    result, room = [], 0.0
    for name, value in model.state_dict().items():
        if name == "encoder.embed_tokens.weight":  # the same tensor as shared.weight
            continue
        size = 4 * value.numel()
        if not result or size > room:
            result.append([])
            room = limit
        result[-1].append(name)
        room -= size
    return result


def check(folder: Path, model: torch.nn.Module, tied: tuple[str, ...] = ()) -> None:
    found = {name: shape for name, (_, shape) in stored(folder).items()}
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if name not in tied}
    assert found == wanted, {
        "missing": sorted(wanted.keys() - found.keys()),
        "unknown": sorted(found.keys() - wanted.keys()),
        "shapes": {n: (found[n], wanted[n]) for n in found.keys() & wanted.keys() if found[n] != wanted[n]},
    }
    print(f"{folder.name}: {len(found)} tensors, {sum(v.numel() for n, v in model.state_dict().items() if n in found)} weights: as {type(model).__name__}")


def main() -> None:
    root = Path(sys.argv[1])
    config = {name: json.loads((root / name / "config.json").read_text()) for name in ("text_encoder", "transformer", "vae")}
    with torch.device("meta"):
        text_encoder = T5EncoderModel(T5Config(**config["text_encoder"]))
        transformer = PixArtTransformer2DModel.from_config(config["transformer"])
        vae = AutoencoderKL.from_config(config["vae"])
    check(root / "text_encoder", text_encoder, ("encoder.embed_tokens.weight",))
    check(root / "transformer", transformer)
    check(root / "vae", vae)
    files = stored(root / "text_encoder")
    if config["text_encoder"]["d_model"] == 4096:
        cut = shards(text_encoder, 10e9)
        assert len({files[name][0] for name in files}) == len(cut)
        for names in cut:
            assert len({files[name][0] for name in names}) == 1, "shards are cut elsewhere"
        print(f"text_encoder: {len(cut)} shards, cut as save_pretrained cuts at 10 GB")


main()
