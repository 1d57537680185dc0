"""Runs random configurations of diffusers' schedulers and writes each run as a line of JSON. See README.md."""

import argparse
import base64
import importlib
import json
import random
import sys
import warnings

import diffusers
import numpy as np
import torch

from draw_schedulers import OPTIONS, draw_configuration, draw_run

SHAPE = (1, 2, 2, 2)
HALF_ULP = 2.0 ** -24


def packed(values) -> str:
    """JSON cannot represent some of the numbers, so the bytes of float64 are written."""
    return base64.b64encode(np.asarray(values, dtype="<f8").tobytes()).decode()


def normal(rng: np.random.Generator) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal(SHAPE, dtype=np.float32))


def construct(name: str, config: dict):
    """The scheduler; constructors that lay out a step for each timestep of training, which is slow, lay out two."""
    kind = getattr(diffusers, name)
    if not name.startswith("KDPM2"):
        return kind(**config)
    method = kind.set_timesteps
    kind.set_timesteps = lambda self, *_: method(self, 2)
    try:
        return kind(**config)
    finally:
        kind.set_timesteps = method


def lay_out(name: str, config: dict, run: dict):
    scheduler = construct(name, config)
    arguments = {key: run[key] for key in ("timesteps", "mu") if key in run}
    if "sigmas" in run:
        arguments["sigmas"] = np.array(run["sigmas"])
    if "steps" in run or name == "UniPCMultistepScheduler":
        arguments["num_inference_steps"] = run.get("steps", len(run.get("sigmas", ())))
    scheduler.set_timesteps(**arguments)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    return scheduler


def follow(scheduler, seed: int, run: dict, adjust=lambda tensor: tensor) -> dict:
    """Steps along the schedule; `adjust` changes the representation of values, not the values."""
    rng = np.random.default_rng(seed)
    start = normal(rng)
    outputs, drawn, samples, inputs = [], [], [], []

    def draw(*_, **__):
        drawn.append(normal(rng))
        return adjust(drawn[-1])

    importlib.import_module(type(scheduler).__module__).randn_tensor = draw
    sample = adjust(start) * float(getattr(scheduler, "init_noise_sigma", 1.0))
    extra = {"eta": run["eta"]} if "eta" in run else {}
    for timestep in scheduler.timesteps:
        outputs.append(normal(rng))
        scaled = scheduler.scale_model_input(sample, timestep) if hasattr(scheduler, "scale_model_input") else sample
        inputs.append(scaled.flatten().double().numpy())
        sample = scheduler.step(adjust(outputs[-1]), timestep, sample, return_dict=False, **extra)[0]
        samples.append(sample.flatten().double().numpy())
    flat = [np.concatenate([part.flatten().numpy() for part in parts]) if parts else [] for parts in (outputs, drawn)]
    return {"start": start.flatten(), "outputs": flat[0], "noise": flat[1], "inputs": np.concatenate(inputs),
            "samples": np.concatenate(samples)}


def floor(name: str, config: dict, run: dict, seed: int) -> dict:
    """How far a run is from other ways to compute it, in its timesteps, its sigmas (relative) and its samples."""
    scheduler = lay_out(name, config, run)
    values = inputs_and_samples(scheduler, seed, run)
    ways = [(lay_out(name, config, run), torch.Tensor.double)]
    ways += [(nudged(name, config, run, seed + way), nudge(seed + way)) for way in range(4)]
    if config.get("rescale_betas_zero_snr"):
        ways.append((with_exact_roots(name, config, run), lambda tensor: tensor))
    floors = {"samples": 0.0, "sigmas": 0.0, "timesteps": 0.0}
    for other, adjust in ways:
        floors["timesteps"] = max(floors["timesteps"], float((other.timesteps - scheduler.timesteps).abs().max()))
        if torch.is_tensor(getattr(other, "sigmas", None)):
            moved = ((other.sigmas - scheduler.sigmas).abs() / scheduler.sigmas).nan_to_num(0.0)
            floors["sigmas"] = max(floors["sigmas"], float(moved.max()))
        moved = np.abs(inputs_and_samples(other, seed, run, adjust) - values)
        floors["samples"] = max(floors["samples"], float(np.nan_to_num(moved, nan=0.0, posinf=0.0).max()))
    return floors


def inputs_and_samples(*arguments) -> np.ndarray:
    result = follow(*arguments)
    return np.concatenate([result["inputs"], result["samples"]])


def nudge(seed: int):
    """Moves values up or down by half a last bit."""
    rng = np.random.default_rng(seed + 1)
    return lambda tensor: tensor * torch.from_numpy(
        1 + rng.choice((-HALF_ULP, HALF_ULP), tuple(tensor.shape)).astype(np.float64)).to(tensor)


def nudged(name: str, config: dict, run: dict, seed: int):
    """The schedule with sigmas that are off by half a last bit."""
    scheduler = lay_out(name, config, run)
    if torch.is_tensor(getattr(scheduler, "sigmas", None)):
        scheduler.sigmas = nudge(seed)(scheduler.sigmas.double()).to(scheduler.sigmas.dtype)
    return scheduler


def with_exact_roots(name: str, config: dict, run: dict):
    """The schedule under zero terminal SNR with square roots rounded correctly, as torch's vector code does not."""
    root = torch.Tensor.sqrt
    torch.Tensor.sqrt = lambda tensor: torch.from_numpy(np.asarray(np.sqrt(tensor.numpy())))
    try:
        return lay_out(name, config, run)
    finally:
        torch.Tensor.sqrt = root


def trace(name: str, config: dict, run: dict, seed: int) -> dict:
    line = {"name": name, "config": config, "run": run, "seed": seed}
    try:
        scheduler = lay_out(name, config, run)
        initial = float(getattr(scheduler, "init_noise_sigma", 1.0))
        result = follow(scheduler, seed, run)
        sigmas = packed(scheduler.sigmas) if torch.is_tensor(getattr(scheduler, "sigmas", None)) else None
    except Exception as error:  # Whatever diffusers raises is a result.
        return {**line, "error": f"{type(error).__name__}: {error}"[:300]}
    reference = {key: packed(values) for key, values in result.items()}
    timesteps = packed([float(timestep) for timestep in scheduler.timesteps])
    return {**line, "timesteps": timesteps, "sigmas": sigmas, "initNoiseSigma": initial, **reference}


def draw_traces(seed: int, count: int, names: tuple[str, ...]) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        name = rng.choice(names)
        config = draw_configuration(rng, name)
        run = draw_run(rng, name, config)
        sys.stdout.write(json.dumps(trace(name, config, run, rng.getrandbits(32))) + "\n")


def measure_floors(subjects: list[dict]) -> None:
    for subject in subjects:
        measured = floor(subject["name"], subject["config"], subject["run"], subject["seed"])
        sys.stdout.write(json.dumps(measured) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--count", type=int)
    parser.add_argument("--only", default=",".join(OPTIONS), help="the schedulers that are drawn, with commas between")
    parser.add_argument("--floors", help="a file of runs, a line each, whose noise floor is measured")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    diffusers.logging.set_verbosity(diffusers.logging.CRITICAL)
    torch.set_num_threads(1)
    if options.floors:
        measure_floors([json.loads(line) for line in open(options.floors)])
    else:
        draw_traces(options.seed, options.count, tuple(options.only.split(",")))


main()
