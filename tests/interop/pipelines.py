"""Runs random calls of diffusers' PixArt pipelines and writes each as a line of JSON. See README.md."""

import argparse
import base64
import json
import random
import sys
import warnings
from pathlib import Path

import bs4  # noqa: F401  Without it and ftfy, diffusers does not clean captions.
import diffusers
import ftfy  # noqa: F401
import numpy as np
import torch
import transformers

from draw_pipelines import draw_pipeline


def packed(tensor: torch.Tensor) -> str:
    return base64.b64encode(tensor.detach().float().numpy().astype("<f4").tobytes()).decode()


class Recorder:
    """A pipeline whose embeddings, first latents and last latents are kept."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=dtype)
        self.pipe.set_progress_bar_config(disable=True)
        self.configuration = self.pipe.scheduler.config
        self.own = type(self.pipe.scheduler)
        self.kept: dict = {}
        self.keep(self.pipe, "encode_prompt", lambda result, *_, **__: result)
        self.keep(self.pipe, "prepare_latents", lambda result, *_, **__: result)
        scale = self.pipe.vae.config.scaling_factor
        self.keep(self.pipe.vae, "decode", lambda _, latents, **__: latents * scale)

    def keep(self, owner, name: str, what) -> None:
        method = getattr(owner, name)

        def recorded(*arguments, **options):
            result = method(*arguments, **options)
            self.kept[name] = what(result, *arguments, **options)
            return result

        setattr(owner, name, recorded)

    def run(self, subject: dict) -> dict:
        name, options = subject.get("scheduler"), subject.get("options", {})
        scheduler = getattr(diffusers, name) if name else self.own
        self.pipe.scheduler = scheduler.from_config(self.configuration, **options)
        call = dict(subject["call"])
        count = len(call["prompt"]) * call.get("num_images_per_prompt", 1)
        dtype = self.pipe.transformer.dtype
        generators = [torch.Generator("cpu").manual_seed(int(subject["seed"]) + index) for index in range(count)]
        image = self.pipe(**call, generator=generators, output_type="pt").images
        return {**self.kept, "image": image, "dtype": dtype}


def line(recorder: Recorder, subject: dict) -> dict:
    try:
        result = recorder.run(subject)
    except Exception as error:  # Whatever diffusers raises is a result.
        return {**subject, "error": f"{type(error).__name__}: {error}"[:300]}
    embeds, mask, negative, negative_mask = result["encode_prompt"]
    count = len(subject["call"]["prompt"])
    repeat = subject["call"].get("num_images_per_prompt", 1)
    rows = range(0, count * repeat, repeat)
    halves = {"prompt": (embeds, mask), "negative": (negative, negative_mask)}
    real = {f"{half}Embeds": [packed(texts[row][marks[row % len(marks)].bool()]) for row in rows]
            for half, (texts, marks) in halves.items() if texts is not None}
    return {
        **subject, **real,
        "shape": list(result["decode"].shape),
        "firstLatents": packed(result["prepare_latents"]),
        "finalLatents": packed(result["decode"]),
        "imageShape": list(result["image"].shape),
        "image": packed(result["image"]),
    }


def distance(one: torch.Tensor, other: torch.Tensor) -> list[float]:
    return [float((one - other).abs().max()), float((one - other).norm() / one.norm())]


def floors(recorders: dict[str, Recorder], folders: dict[str, Path], subjects: list[dict]) -> None:
    """How far a run is from other ways to compute it, in its latents, its picture and its pixels."""
    exact: dict[str, Recorder] = {}
    for subject in subjects:
        name = subject["checkpoint"]
        exact.setdefault(name, Recorder(folders[name], torch.float64))
        one = recorders[name].run(subject)
        ways = [in_float64(exact[name], subject), nudged(recorders[name], subject)]
        with torch.backends.mkldnn.flags(enabled=False):
            ways.append(recorders[name].run(subject))
        if subject.get("options", {}).get("rescale_betas_zero_snr"):
            ways.append(with_exact_roots(recorders[name], subject))
        measured = [differences(one, way) for way in ways]
        largest = {what: [max(values) for values in zip(*(way[what] for way in measured))] for what in measured[0]}
        sys.stdout.write(json.dumps(largest) + "\n")


def in_float64(recorder: Recorder, subject: dict) -> dict:
    """The run in float64, with the noise that is drawn in float32."""
    return with_noise(recorder, subject, lambda noise, dtype: noise.to(dtype or torch.float32))


def with_exact_roots(recorder: Recorder, subject: dict) -> dict:
    """The run with square roots rounded correctly, as torch's vector code does not; under zero terminal SNR this matters."""
    root = torch.Tensor.sqrt
    torch.Tensor.sqrt = lambda tensor: torch.from_numpy(np.asarray(np.sqrt(tensor.numpy())))
    try:
        return recorder.run(subject)
    finally:
        torch.Tensor.sqrt = root


def nudged(recorder: Recorder, subject: dict) -> dict:
    """The run with noise that is off by a last bit."""
    return with_noise(recorder, subject, lambda noise, _: noise * (1 + (noise > 0.3).float() * 2.0 ** -23))


def with_noise(recorder: Recorder, subject: dict, change) -> dict:
    randn = torch.randn
    torch.randn = lambda *shape, dtype=None, **options: change(randn(*shape, dtype=torch.float32, **options), dtype)
    try:
        return recorder.run(subject)
    finally:
        torch.randn = randn


def differences(one: dict, other: dict) -> dict:
    measured = {ours: distance(one[theirs].double(), other[theirs].double())
                for ours, theirs in (("finalLatents", "decode"), ("image", "image"))}
    measured["image"][0] *= 2  # Limits are for pictures from -1 to 1.
    off = ((one["image"] * 255).round() - (other["image"] * 255).round()).abs()
    measured["pixels"] = [float(off.max()), float((off > 0).double().mean())]
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int)
    parser.add_argument("--floors", help="a file of runs, a line each, whose noise floor is measured")
    parser.add_argument("checkpoints", nargs="+", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    diffusers.logging.set_verbosity(diffusers.logging.CRITICAL)
    diffusers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    folders = {folder.name: folder for folder in options.checkpoints}
    recorders = {name: Recorder(folder, torch.float32) for name, folder in folders.items()}
    if options.floors:
        floors(recorders, folders, [json.loads(subject) for subject in open(options.floors)])
        return
    rng = random.Random(options.seed)
    own = {name: recorder.own.__name__ for name, recorder in recorders.items()}
    for _ in range(options.count):
        subject = draw_pipeline(rng, own)
        sys.stdout.write(json.dumps(line(recorders[subject["checkpoint"]], subject)) + "\n")


main()
