"""Draws configurations of diffusers' schedulers and runs of them: any option, any value that diffusers takes."""

import random

BETAS = {
    "num_train_timesteps": (1000, 1000, 100, 250, 999, 1234),
    "beta_start": (0.0001, 0.00085, 0.001, 0.002),
    "beta_end": (0.02, 0.012, 0.03, 0.05),
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
}
SPACING = {"timestep_spacing": ("linspace", "leading", "trailing"), "steps_offset": (0, 1, 2, 5)}
THRESHOLDING = {
    "thresholding": (False, True),
    "dynamic_thresholding_ratio": (0.995, 0.5, 0.9, 1.0, 0.0),
    "sample_max_value": (1.0, 1.5, 3.0, 0.5),
}
CLIPPING = {"clip_sample": (True, False), "clip_sample_range": (1.0, 0.5, 2.0)}
SIGMAS = {name: (False, False, True) for name in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")}
SIGMA_ENDS = {"sigma_min": (None, 0.002, 0.03, 0.1), "sigma_max": (None, 14.6, 80.0, 1.0)}
FLOW = {
    "use_flow_sigmas": (False, False, True),
    "flow_shift": (1.0, 3.0, 0.5, 2.5),
    "use_dynamic_shifting": (False, False, True),
}
ZERO_SNR = {"rescale_betas_zero_snr": (False, True)}
ALL_PREDICTIONS = ("epsilon", "sample", "v_prediction", "flow_prediction")
SOLVER = {
    **BETAS, **THRESHOLDING, **SIGMAS, **FLOW, "solver_order": (1, 2, 3), "prediction_type": ALL_PREDICTIONS,
    "lower_order_final": (True, False),
}
DPM = {
    "algorithm_type": ("dpmsolver++", "dpmsolver", "sde-dpmsolver", "sde-dpmsolver++"),
    "solver_type": ("midpoint", "heun"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "lambda_min_clipped": (-5.1, -3.0, -1.0),
    "variance_type": (None, "learned", "learned_range"),
}
DIFFUSION = {
    **BETAS, **CLIPPING, **THRESHOLDING, **SPACING, **ZERO_SNR, "prediction_type": ALL_PREDICTIONS[:3],
}

OPTIONS = {
    "DPMSolverMultistepScheduler": {
        **SOLVER, **DPM, **SPACING, **ZERO_SNR, "euler_at_final": (False, True), "use_lu_lambdas": (False, False, True),
    },
    "DPMSolverSinglestepScheduler": {**SOLVER, **DPM},
    "UniPCMultistepScheduler": {
        **SOLVER, **SPACING, **ZERO_SNR, **SIGMA_ENDS, "time_shift_type": ("exponential", "linear"),
        "predict_x0": (True, False), "solver_type": ("bh2", "bh1"), "final_sigmas_type": ("zero", "sigma_min"),
        "disable_corrector": ([], [0], [1, 2]), "shift_terminal": (None, None, 0.1, 0.02),
    },
    "DEISMultistepScheduler": {**SOLVER, **SPACING, "algorithm_type": ("deis",), "solver_type": ("logrho",)},
    "EulerDiscreteScheduler": {
        **BETAS, **SIGMAS, **SIGMA_ENDS, **SPACING, **ZERO_SNR, "prediction_type": ALL_PREDICTIONS[:3],
        "interpolation_type": ("linear", "log_linear"), "timestep_type": ("discrete", "continuous"),
        "final_sigmas_type": ("zero", "sigma_min"),
    },
    "EulerAncestralDiscreteScheduler": {
        **BETAS, **SPACING, **ZERO_SNR, "prediction_type": ("epsilon", "v_prediction"),
    },
    "HeunDiscreteScheduler": {
        **BETAS, **SIGMAS, **CLIPPING, **SPACING, "prediction_type": ALL_PREDICTIONS[:3],
        "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "exp"),
    },
    "LMSDiscreteScheduler": {**BETAS, **SIGMAS, **SPACING, "prediction_type": ALL_PREDICTIONS[:3]},
    "KDPM2DiscreteScheduler": {**BETAS, **SIGMAS, **SPACING, "prediction_type": ("epsilon", "v_prediction")},
    "KDPM2AncestralDiscreteScheduler": {**BETAS, **SIGMAS, **SPACING, "prediction_type": ("epsilon", "v_prediction")},
    "SASolverScheduler": {
        **BETAS, **THRESHOLDING, **SIGMAS, **SPACING, "use_flow_sigmas": (False, False, True),
        "flow_shift": FLOW["flow_shift"], "prediction_type": ALL_PREDICTIONS, "lower_order_final": (True, False),
        "predictor_order": (1, 2, 3, 4), "corrector_order": (1, 2, 3, 4),
        "algorithm_type": ("data_prediction", "noise_prediction"), "lambda_min_clipped": DPM["lambda_min_clipped"],
        "variance_type": DPM["variance_type"],
    },
    "TCDScheduler": {
        **BETAS, **ZERO_SNR, "prediction_type": ALL_PREDICTIONS[:3], "original_inference_steps": (50, 30, 100),
    },
    "DDIMScheduler": {**DIFFUSION, "set_alpha_to_one": (True, False)},
    "DDPMScheduler": {
        **DIFFUSION, "variance_type": ("fixed_small", "fixed_small_log", "fixed_large"),
        "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"),
    },
    "PNDMScheduler": {
        **BETAS, **SPACING, "skip_prk_steps": (False, True), "set_alpha_to_one": (False, True),
        "prediction_type": ("epsilon", "v_prediction"),
    },
    "LCMScheduler": {
        **DIFFUSION, "original_inference_steps": (50, 30, 100), "set_alpha_to_one": (True, False),
        "timestep_scaling": (10.0, 3.0, 1.0),
    },
    "FlowMatchEulerDiscreteScheduler": {
        **SIGMAS, "num_train_timesteps": BETAS["num_train_timesteps"], "shift": (1.0, 3.0, 0.5),
        "use_dynamic_shifting": (False, False, True), "invert_sigmas": (False, True),
        "shift_terminal": (None, 0.1, 0.02), "time_shift_type": ("exponential", "linear"),
        "stochastic_sampling": (False, True),
    },
}
TAKES_TIMESTEPS = {
    "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler",
    "DDPMScheduler", "LCMScheduler", "TCDScheduler", "FlowMatchEulerDiscreteScheduler",
}
TAKES_SIGMAS = {"UniPCMultistepScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"}
LARGEST_SIGMA = {"EulerDiscreteScheduler": 80.0}


def draw_configuration(rng: random.Random, name: str) -> dict:
    """Options that differ from the defaults. Their number is random too."""
    share = rng.choice((0.0, 0.1, 0.2, 0.3, 0.5))
    config = {key: rng.choice(values) for key, values in OPTIONS[name].items() if rng.random() < share}
    if "num_train_timesteps" in OPTIONS[name] and "beta_start" in OPTIONS[name] and rng.random() < 0.03:
        count = rng.randint(20, 120)
        config |= {"num_train_timesteps": count, "trained_betas": sorted(rng.uniform(1e-4, 0.05) for _ in range(count))}
    # Spacings exclude one another, so most draws keep only one.
    spacings = [key for key in (*SIGMAS, "use_lu_lambdas", "use_flow_sigmas") if config.get(key)]
    for key in rng.sample(spacings, max(len(spacings) - 1, 0)) if rng.random() < 0.8 else ():
        config[key] = False
    # Without data prediction, DPM-Solver cannot end without noise.
    if config.get("algorithm_type") in ("dpmsolver", "sde-dpmsolver") and rng.random() < 0.9:
        config["final_sigmas_type"] = "sigma_min"
    return config


def draw_run(rng: random.Random, name: str, config: dict) -> dict:
    """A number of steps, timesteps or sigmas, and the other arguments of the run."""
    count = config.get("num_train_timesteps", 1000)
    run: dict = {"steps": rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 13, 20))}
    kind = rng.random()
    if name in TAKES_TIMESTEPS and kind < 0.15:
        timesteps = sorted(rng.sample(range(count), min(run["steps"], count)), reverse=True)
        run = {"timesteps": [float(t) for t in timesteps] if name.startswith("Flow") else timesteps}
    elif name in TAKES_SIGMAS and kind < 0.3:
        highest = LARGEST_SIGMA.get(name, 1.0)
        sigmas = sorted((rng.uniform(0.01, 1) ** 2 * highest for _ in range(run["steps"])), reverse=True)
        run = {"sigmas": [*sigmas, 0.0] if name == "EulerDiscreteScheduler" else sigmas}
        if name == "UniPCMultistepScheduler":
            config["use_flow_sigmas"] = True
    if config.get("use_dynamic_shifting"):
        run["mu"] = rng.choice((0.7, 0.2, 1.3, -0.4))
    if name == "DDIMScheduler" and rng.random() < 0.5:
        run["eta"] = rng.choice((0.3, 1.0, round(rng.random(), 3)))
    if name == "TCDScheduler":  # The scheduler's own default differs from that of the pipelines.
        run["eta"] = rng.choice((0.0, 0.3, 1.0, round(rng.random(), 3)))
    return run
