"""Writes later_beginnings.json: runs of diffusers' schedulers that begin in the middle from a clean sample, like
image-to-image and inpainting.

Made with diffusers 0.42.1, torch 2.13.0 (CPU) by `python make_later_beginnings.py`. Model outputs, samples and noise are
simple fractions, so only the results are stored.
"""

import importlib
import json
import pathlib
import warnings

import diffusers
import torch

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
COUNT = 8
MULTI, SINGLE = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
KARRAS = {"use_karras_sigmas": True}


def cases():
    for kept in (1, 2, 3, 5):
        for order in (1, 2, 3):
            yield MULTI, {"solver_order": order}, 6, kept
            yield SINGLE, {"solver_order": order}, 6, kept
            yield "DEISMultistepScheduler", {"solver_order": order}, 6, kept
            yield "UniPCMultistepScheduler", {"solver_order": order}, 6, kept
        yield MULTI, {"solver_order": 2, "algorithm_type": "sde-dpmsolver++", **KARRAS}, 6, kept
        yield MULTI, {"solver_order": 3, **KARRAS}, 30, kept
        yield SINGLE, KARRAS, 30, kept
        yield "UniPCMultistepScheduler", KARRAS, 30, kept
        yield "EulerDiscreteScheduler", {}, 6, kept
        yield "EulerDiscreteScheduler", KARRAS, 6, kept
        yield "EulerAncestralDiscreteScheduler", {}, 6, kept
        yield "HeunDiscreteScheduler", {}, 6, kept
        yield "HeunDiscreteScheduler", KARRAS, 6, kept
        yield "DDIMScheduler", {"clip_sample": False}, 6, kept
        yield "DDPMScheduler", {"clip_sample": False}, 6, kept
        yield "PNDMScheduler", {"skip_prk_steps": True}, 6, kept
        yield "LCMScheduler", {}, 6, kept
    # Only the calls that are left out would produce values that are not finite.
    for name in ("TCDScheduler", "LCMScheduler", "DDIMScheduler", "DDPMScheduler"):
        yield name, {"rescale_betas_zero_snr": True, "clip_sample": False}, 4, 2
    yield "KDPM2AncestralDiscreteScheduler", {"beta_schedule": "squaredcos_cap_v2"}, 4, 1
    yield "EulerAncestralDiscreteScheduler", {"beta_schedule": "squaredcos_cap_v2"}, 4, 2


def fractions(seed):
    return torch.tensor([((index * 37 + seed * 101) % 64 - 31.5) / 16 for index in range(COUNT)]).reshape(1, 2, 2, 2)


def run_case(name, config, steps, kept):
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(steps)
    begin = (steps - kept) * scheduler.order
    timesteps = scheduler.timesteps[begin:]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(begin)
    draws = iter(range(1000, 2000))
    importlib.import_module(type(scheduler).__module__).randn_tensor = lambda *_, **__: fractions(next(draws))
    clean, noise = fractions(0), fractions(500)
    sample = scheduler.add_noise(clean, noise, timesteps[:1])
    # Pipelines pass eta = 0, but the default of TCD is 0.3.
    options = {"eta": 0.0} if name == "TCDScheduler" else {}
    samples, noised = [sample.flatten().tolist()], []
    for call, timestep in enumerate(timesteps):
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(sample, timestep)
        sample = scheduler.step(fractions(call + 1), timestep, sample, return_dict=False, **options)[0]
        samples.append(sample.flatten().tolist())
        if call + 1 < len(timesteps):
            noised.append(scheduler.add_noise(clean, noise, timesteps[call + 1:call + 2]).flatten().tolist())
    return {
        "name": name,
        "config": config,
        "steps": steps,
        "begin": begin,
        "timesteps": [float(timestep) for timestep in timesteps],
        "samples": samples,
        "noised": noised,
    }


lines = []
for case in cases():
    try:
        lines.append(json.dumps(run_case(*case), allow_nan=False))
    except (ValueError, IndexError) as error:
        print("left out:", *case, error)
path = pathlib.Path(__file__).parent / "later_beginnings.json"
path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
