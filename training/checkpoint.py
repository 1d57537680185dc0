"""Read the networks back from a model folder in diffusers' layout."""
import json
import os

from safetensors.torch import load_file

from networks.autoencoder import Autoencoder
from networks.text_encoder import TextEncoder
from networks.transformer import Transformer

NETWORKS = {"transformer": Transformer, "vae": Autoencoder, "text_encoder": TextEncoder}


def weight_files(folder, part, variant=""):
    index = f"diffusion_pytorch_model.safetensors.index{f'.{variant}' if variant else ''}.json"
    if part != "transformer":
        return [f for f in os.listdir(os.path.join(folder, part)) if f.endswith(".safetensors")]
    with open(os.path.join(folder, part, index), encoding="utf-8") as f:
        return sorted(set(json.load(f)["weight_map"].values()))


def read_config(folder, part):
    with open(os.path.join(folder, part, "config.json"), encoding="utf-8") as f:
        return json.load(f)


def read_network(folder, part, variant=""):
    """The network of a part, with its weights in float32."""
    network = NETWORKS[part](read_config(folder, part))
    weights = {}
    for file in weight_files(folder, part, variant):
        weights.update(load_file(os.path.join(folder, part, file)))
    network.load_state_dict({k: v.float() for k, v in weights.items()})
    return network
