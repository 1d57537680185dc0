"""Draws calls of the PixArt pipelines: prompts, sizes, guidance, schedules, schedulers and their options."""

import random

from draw_schedulers import OPTIONS, draw_configuration, draw_run

WORDS = (
    "a small cactus with happy face in the Sahara desert red heart cat astronaut oil painting of mountains at dawn "
    "8k, highly detailed (masterpiece:1.2) | --ar 16:9 \u00e9t\u00e9 \u732b\u304c\u597d\u304d \u0645\u0631\u062d\u0628\u0627 \U0001f600 \U0001f469\u200d\U0001f680 \u00df "
    "na\u00efve <b>bold</b> &amp; &lt;person&gt; <br/> <unfinished https://example.com/a?b=c www.site.org #12345 @user "
    "img_1234.jpg 1024x768 10.0.0.1 \"quoted\" `code` \u201ccurly\u201d it's 50% *** ___ \u2014\u2013 \\n \u00bd \uff26\uff55\uff4c\uff4c \u200bzero"
).split(" ")
# The pipelines of diffusers cannot run FlowMatchEulerDiscreteScheduler, which has no `init_noise_sigma`.
PIPELINE_SCHEDULERS = tuple(name for name in OPTIONS if not name.startswith("FlowMatch"))
SEPARATORS = (" ", " ", " ", "  ", "\n", "\t", ", ", "-", ".", "_")


def draw_prompt(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.06:
        return rng.choice(("", " ", "\n\t ", "<p></p>", "&nbsp;"))
    count = rng.randint(100, 400) if kind < 0.12 else rng.randint(1, 24)
    return "".join(rng.choice(WORDS) + rng.choice(SEPARATORS) for _ in range(count))


def draw_size(rng: random.Random, is_small: bool) -> dict:
    """Sizes without binning are small. Sizes with binning are rare, because the sizes of training are large."""
    if is_small or rng.random() < 0.97:
        size = {"height": 16 * rng.randint(2, 9), "width": 16 * rng.randint(2, 9)}
        return {**size, "use_resolution_binning": False}
    return {"height": rng.randint(120, 700), "width": rng.randint(120, 700), "use_resolution_binning": True}


def draw_scheduler(rng: random.Random, own: str) -> tuple[dict, dict]:
    """The schedule of the run, and the scheduler if one replaces the checkpoint's."""
    if rng.random() < 0.3:
        schedulers, name, config = {}, own, {}
    else:
        name = rng.choice(PIPELINE_SCHEDULERS)
        config = draw_configuration(rng, name) if rng.random() < 0.7 else {}
        # A call of the pipeline cannot pass mu; models of 1000 timesteps take no more.
        config = {key: value for key, value in config.items() if key not in (
            "use_dynamic_shifting", "num_train_timesteps", "trained_betas")}
        schedulers = {"scheduler": name}
    run = draw_run(rng, name, config)
    if schedulers:
        schedulers["options"] = config
    schedule = {key: run[key] for key in ("timesteps", "sigmas", "eta") if key in run}
    steps = run.get("steps", 4)
    return schedulers, {**schedule, "num_inference_steps": min(steps, 8)}


def draw_pipeline(rng: random.Random, checkpoints: dict[str, str]) -> dict:
    """The arguments that load a pipeline, and those of its call."""
    checkpoint = rng.choice(tuple(checkpoints))
    schedulers, schedule = draw_scheduler(rng, checkpoints[checkpoint])
    prompts = [draw_prompt(rng) for _ in range(rng.choice((1, 1, 1, 1, 2)))]
    call = {"prompt": prompts, **schedule, **draw_size(rng, "1024" in checkpoint)}
    call["guidance_scale"] = rng.choice((4.5, 4.5, 7.0, 1.5, 1.0, 0.5, 0.0, -1.0, -4.5, round(rng.uniform(1, 9), 2)))
    if rng.random() < 0.5:
        call["negative_prompt"] = draw_prompt(rng) if rng.random() < 0.7 else [draw_prompt(rng) for _ in prompts]
    if rng.random() < 0.2:
        call["num_images_per_prompt"] = 2
    if rng.random() < 0.3:
        call["clean_caption"] = False
    if rng.random() < 0.3:
        call["max_sequence_length"] = rng.choice((1, 2, 5, 16, 77, 120, 300))
    # As text, because JavaScript's numbers cannot represent all seeds.
    return {"checkpoint": checkpoint, **schedulers, "call": call, "seed": str(rng.getrandbits(rng.choice((8, 32, 63))))}
