"""Writes more_reference.json: runs of diffusers' schedulers with options that the goldens leave out.

Made with diffusers 0.42.1, torch 2.13.0 (CPU), numpy 2.4.6, scipy 1.17 by `python make_more_reference.py`.
Model outputs, samples and noise are simple fractions, so only the results are stored.
"""

import importlib
import json
import pathlib
import warnings

import diffusers
import numpy as np
import torch

warnings.filterwarnings("ignore")
diffusers.logging.set_verbosity_error()
COUNT = 8
MULTI, SINGLE = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
UNIPC, DEIS = "UniPCMultistepScheduler", "DEISMultistepScheduler"
EULER, ANCESTRAL, HEUN = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"
DDPM, DDIM, PNDM, LCM, FLOW = "DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "LCMScheduler", "FlowMatchEulerDiscreteScheduler"
V, X, F = {"prediction_type": "v_prediction"}, {"prediction_type": "sample"}, {"prediction_type": "flow_prediction"}
END = {"final_sigmas_type": "sigma_min"}
WALK = {**F, "use_flow_sigmas": True}


def cases():
    for order in (1, 2, 3):
        for solver in ("midpoint", "heun"):
            both = {"solver_order": order, "solver_type": solver}
            yield MULTI, {**both, **END, "algorithm_type": "dpmsolver"}, {"steps": 5}
            yield MULTI, {**both, "algorithm_type": "sde-dpmsolver++"}, {"steps": 5}
            if order < 3:
                yield MULTI, {**both, **END, "algorithm_type": "sde-dpmsolver"}, {"steps": 5}
            yield SINGLE, {**both, **END, "algorithm_type": "dpmsolver"}, {"steps": 6}
            yield SINGLE, {**both, **END, "algorithm_type": "sde-dpmsolver++"}, {"steps": 6}
            yield SINGLE, {**both, **V}, {"steps": 7}
    for prediction in (V, X):
        yield MULTI, {**prediction, **END, "algorithm_type": "dpmsolver"}, {"steps": 4}
        yield UNIPC, {**prediction, **END, "predict_x0": False}, {"steps": 4}
        yield DEIS, prediction, {"steps": 4}
        yield EULER, prediction, {"steps": 4}
        yield HEUN, {**prediction, "clip_sample": True, "clip_sample_range": 2.0}, {"steps": 3}
        yield DDIM, {**prediction, "thresholding": True, "sample_max_value": 1.5}, {"steps": 4}
    yield MULTI, {**END, "algorithm_type": "dpmsolver", "thresholding": True, "sample_max_value": 2.0}, {"steps": 4}
    yield MULTI, {"lambda_min_clipped": -5.1, "timestep_spacing": "trailing", "beta_schedule": "squaredcos_cap_v2"}, {"steps": 6}
    yield MULTI, {"use_beta_sigmas": True}, {"steps": 5}
    yield MULTI, {**WALK, "use_dynamic_shifting": True}, {"steps": 4, "mu": 0.7}
    yield SINGLE, {**WALK, "flow_shift": 2.0}, {"steps": 4}
    yield SINGLE, {"use_exponential_sigmas": True}, {"steps": 4}
    yield SINGLE, {"lambda_min_clipped": -3.0}, {"timesteps": [900, 500, 100]}
    yield DEIS, {**WALK, "solver_order": 3}, {"steps": 5}
    yield DEIS, {"use_beta_sigmas": True}, {"steps": 4}
    yield DEIS, {"solver_order": 3, "timestep_spacing": "leading", "steps_offset": 1}, {"steps": 16}
    yield UNIPC, {**WALK, "use_dynamic_shifting": True, "shift_terminal": 0.1}, {"steps": 5, "mu": 0.7}
    yield UNIPC, {**WALK, "use_dynamic_shifting": True, "time_shift_type": "linear"}, {"sigmas": [1.0, 0.6, 0.3], "mu": 0.7}
    yield UNIPC, {**WALK, "use_karras_sigmas": True, "sigma_min": 0.03, "sigma_max": 20.0}, {"steps": 4}
    yield UNIPC, {"solver_order": 3, "disable_corrector": [0], "timestep_spacing": "trailing"}, {"steps": 6}
    yield UNIPC, {"solver_order": 3, "use_exponential_sigmas": True, **END}, {"steps": 6}
    yield EULER, {**V, "timestep_type": "continuous", "timestep_spacing": "leading"}, {"steps": 4}
    yield EULER, {"use_beta_sigmas": True}, {"steps": 5}
    yield EULER, {"interpolation_type": "log_linear", "use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 80.0}, {"steps": 4}
    yield ANCESTRAL, {**V, "timestep_spacing": "trailing"}, {"steps": 4}
    yield HEUN, {"beta_schedule": "exp"}, {"timesteps": [900, 400, 50]}
    yield DDIM, {"set_alpha_to_one": False, "timestep_spacing": "linspace", "clip_sample": False}, {"steps": 4, "eta": 1.0}
    yield DDPM, {}, {"steps": 6}
    yield DDPM, {"clip_sample": False, "timestep_spacing": "trailing"}, {"steps": 7}
    yield DDPM, {"clip_sample": False, "timestep_spacing": "linspace", "variance_type": "fixed_small_log"}, {"steps": 5}
    yield DDPM, {**V, "clip_sample_range": 2.0, "variance_type": "fixed_large", "beta_schedule": "scaled_linear"}, {"steps": 4}
    yield DDPM, {**X, "thresholding": True, "sample_max_value": 1.5, "steps_offset": 1}, {"steps": 4}
    yield DDPM, {"clip_sample": False}, {"timesteps": [900, 400, 0]}
    yield DDPM, {"clip_sample": False}, {"timesteps": [400]}
    yield PNDM, {**V, "timestep_spacing": "trailing"}, {"steps": 6}
    yield PNDM, {**V, "skip_prk_steps": True, "timestep_spacing": "linspace"}, {"steps": 5}
    yield LCM, {**X, "thresholding": True, "timestep_scaling": 3.0, "original_inference_steps": 30}, {"steps": 4}
    yield FLOW, {"shift": 3.0, "stochastic_sampling": True, "shift_terminal": 0.1}, {"steps": 4}
    yield FLOW, {"use_dynamic_shifting": True, "time_shift_type": "linear"}, {"steps": 4, "mu": 0.7}
    yield FLOW, {"shift": 2.0, "invert_sigmas": True}, {"steps": 4}
    yield FLOW, {"shift": 2.0, "use_karras_sigmas": True}, {"timesteps": [900.0, 500.0, 100.0]}
    for order in (1, 2, 3):
        yield DEIS, {**F, "solver_order": order}, {"steps": 4}
        yield DEIS, {**F, "solver_order": order, "use_karras_sigmas": True}, {"steps": 5}
    for steps in (1, 2, 4):
        for more in ({}, {"final_sigmas_type": "sigma_min"}, {"timestep_spacing": "leading"}, {"use_karras_sigmas": True}):
            log_linear = {**V, "interpolation_type": "log_linear", "timestep_type": "continuous"}
            yield EULER, {**log_linear, **more}, {"steps": steps}
    for more in ({}, {"use_karras_sigmas": True}, {"use_beta_sigmas": True}, {"shift_terminal": 0.1}, {"shift": 3.0}):
        yield FLOW, more, {"sigmas": [0.9, 0.5, 0.0]}
    yield FLOW, {"invert_sigmas": True}, {"sigmas": [0.9, 0.5, 0.0]}
    yield FLOW, {"stochastic_sampling": True}, {"sigmas": [0.9, 0.5, 0.0]}
    yield FLOW, {}, {"timesteps": [900.0, 500.0, 0.0]}
    for shift in ("exponential", "linear"):
        more = {"use_dynamic_shifting": True, "time_shift_type": shift}
        yield FLOW, more, {"sigmas": [0.9, 0.5, 0.0], "mu": 0.7}
    # Timesteps beyond training have the noise level of the last one.
    for name in (MULTI, SINGLE, EULER, HEUN):
        yield name, {}, {"timesteps": [1200, 700, 300]}
    yield DDPM, {"beta_schedule": "sigmoid"}, {"steps": 5}
    yield DDPM, {"beta_schedule": "sigmoid", "beta_start": 0.001, "beta_end": 0.012, "clip_sample": False}, {"steps": 5}
    # At pure noise, the clean sample is infinite and gets clipped.
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "clip_sample": True}
    for name in (DDIM, DDPM, LCM):
        yield name, {**zero, "clip_sample_range": 1.5}, {"steps": 4}


def fractions(seed):
    return torch.tensor([((index * 37 + seed * 101) % 64 - 31.5) / 16 for index in range(COUNT)]).reshape(1, 2, 2, 2)


def run_case(name, config, run):
    scheduler = getattr(diffusers, name)(**config)
    arguments = {key: value for key, value in run.items() if key not in ("eta", "steps")}
    if "sigmas" in run:
        arguments["sigmas"] = np.array(run["sigmas"])
    if "steps" in run:
        arguments["num_inference_steps"] = run["steps"]
    scheduler.set_timesteps(**arguments)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    draws = iter(range(1000, 2000))
    importlib.import_module(type(scheduler).__module__).randn_tensor = lambda *_, **__: fractions(next(draws))
    sample = fractions(0) * float(getattr(scheduler, "init_noise_sigma", 1.0))
    samples = []
    for call, timestep in enumerate(scheduler.timesteps):
        extra = {"eta": run["eta"]} if "eta" in run else {}
        if hasattr(scheduler, "scale_model_input"):
            scheduler.scale_model_input(sample, timestep)
        sample = scheduler.step(fractions(call + 1), timestep, sample, return_dict=False, **extra)[0]
        samples.append(sample.flatten().tolist())
    sigmas = [float(sigma) for sigma in scheduler.sigmas] if hasattr(scheduler, "sigmas") else None
    timesteps = [float(timestep) for timestep in scheduler.timesteps]
    return {"name": name, "config": config, "run": run, "timesteps": timesteps, "sigmas": sigmas, "samples": samples}


lines = [json.dumps(run_case(*case), allow_nan=False) for case in cases()]
path = pathlib.Path(__file__).parent / "more_reference.json"
path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
