"""Stage 3: a variant of the transformer for 2 to 8 steps without guidance, by latent consistency distillation (Luo and
others, 2023), guidance baked in. Only some of its weights change, so that both variants share the other files."""
import copy

import torch

from diffusion import LCM_GRID, TIMESTEPS, Schedule, boundary, empty_caption, predict
from networks.text_encoder import TextBlock
from networks.transformer import Block
from trainer import Trainer

ALWAYS = ("adaln_single", "caption_projection", "proj_out", "scale_shift_table")


def is_changed(name, recipe):
    """Whether the few-step variant has its own value of this weight: modulation, projections, and the last blocks but for
    their cross-attention, which hardly matters there: putting it back moved final latents by 8% of their deviation."""
    last = range(recipe.depth - recipe.lcm_blocks, recipe.depth)
    in_last = any(f"transformer_blocks.{i}." in name for i in last) and ".attn2." not in name
    return in_last or any(part in name for part in ALWAYS)


def train_few_step(session, recipe, teacher, text_encoder, batches):
    """Returns the few-step transformer with averaged weights, and whether it is done."""
    device = session.device
    student = copy.deepcopy(teacher)
    for name, parameter in student.named_parameters():
        parameter.requires_grad_(is_changed(name, recipe))
    target = copy.deepcopy(student).requires_grad_(False)
    teacher.requires_grad_(False)
    text_encoder.requires_grad_(False)
    trainer = Trainer(
        session, "lcm", {"transformer": student}, recipe.lcm_seconds, recipe.lcm_lr, recipe.lcm_muon_lr,
        lambda name: "transformer_blocks" in name and "table" not in name, recipe.lcm_ema, recipe.seed + 3)
    followers = [p for n, p in target.named_parameters() if is_changed(n, recipe)]
    with torch.no_grad():
        torch._foreach_copy_(followers, trainer.params)
    schedule, stride = Schedule(device), TIMESTEPS // LCM_GRID
    block, text_block = session.compiled(Block.forward), session.compiled(TextBlock.forward)

    def answer(network, latents, timesteps, text, mask):
        """The network's prediction of where the path from these latents ends."""
        skip, out = boundary(timesteps)
        velocity = predict(network, latents, timesteps, text, mask, run_block=block)
        return skip * latents + out * schedule.clean(latents, velocity, timesteps)

    def guided_step(latents, timesteps, earlier, text, mask, no_text, no_mask):
        """One DDIM step of the guided teacher."""
        velocity = predict(teacher, torch.cat([latents, latents]), timesteps.repeat(2), torch.cat([no_text, text]),
                           torch.cat([no_mask, mask]), run_block=block)
        without, given = velocity.chunk(2)
        velocity = without + recipe.guidance * (given - without)
        clean, noise = (f(latents, velocity, timesteps) for f in (schedule.clean, schedule.noise))
        return schedule.noised(clean, noise, earlier)

    def loss_and_parts():
        with torch.no_grad():
            torch._foreach_lerp_(followers, trainer.params, 1 - recipe.lcm_target_ema)
            clean, ids, mask, shares = batches.draw(recipe.lcm_batch, trainer.generator)
            timesteps = ((shares * LCM_GRID).long().clamp(max=LCM_GRID - 1) + 1) * stride - 1
            earlier = (timesteps - stride).clamp(min=0)
            noise = torch.randn(clean.shape, generator=trainer.generator, device=device)
            latents = schedule.noised(clean, noise, timesteps)
            no_ids, no_mask = empty_caption(ids, mask)
            with session.autocast():
                no_text, text = text_encoder(
                    torch.cat([no_ids, ids]), torch.cat([no_mask, mask]), run_block=text_block).chunk(2)
                before = guided_step(latents, timesteps, earlier, text, mask, no_text, no_mask)
                wanted = answer(target, before, earlier, text, mask)
        with session.autocast():
            difference = answer(student, latents, timesteps, text, mask) - wanted
        huber = (difference.square() + 1e-6).sqrt() - 1e-3
        return huber.mean(), dict(mse=difference.square().mean())

    done = trainer.run(loss_and_parts, reserve=30)
    with torch.no_grad():
        torch._foreach_copy_(trainer.params, trainer.average)
    return student, done
