"""Stage 2: the transformer and the text encoder, on the latents and their captions."""
import torch

from diffusion import Schedule, empty_caption, predict
from networks.text_encoder import TextBlock
from networks.transformer import Block
from trainer import Trainer


class Batches:
    """Random batches of latents, caption ids and masks; the stages' random numbers come from one generator."""

    def __init__(self, session, recipe, latents, scaling, captions, weights):
        """captions: ids [N, captions, tokens] and lengths [N, captions]; weights: how often each row is drawn."""
        self.device, self.scaling = session.device, scaling
        self.latents = latents.to(self.device)
        self.ids, self.lengths = (c.to(self.device) for c in captions)
        self.cumulative = torch.cumsum(weights.to(self.device).double(), 0)
        self.positions = torch.arange(self.ids.shape[2], device=self.device)

    def draw(self, size, generator, drop=0.0):
        """Latents (scaled), ids, mask, and timesteps spread evenly over the batch as shares in 0..1."""
        u = torch.rand(4, size, generator=generator, device=self.device)
        rows = torch.searchsorted(self.cumulative, u[0].double() * self.cumulative[-1]).clamp(max=len(self.latents) - 1)
        which = (u[1] * self.ids.shape[1]).long()
        ids = self.ids[rows, which].long()
        mask = self.positions[None] < self.lengths[rows, which][:, None]
        no_ids, no_mask = empty_caption(ids, mask)
        dropped = (u[2] < drop)[:, None]
        ids, mask = torch.where(dropped, no_ids, ids), torch.where(dropped, no_mask, mask)
        shares = (torch.arange(size, device=self.device) + u[3]) / size
        return self.latents[rows].float() * self.scaling, ids, mask, shares


def train_transformer(session, recipe, transformer, text_encoder, batches):
    """Leaves the averaged weights in the networks. Returns False if the command must end first."""
    networks = {"transformer": transformer, "text_encoder": text_encoder}
    trainer = Trainer(
        session, "dit", networks, recipe.dit_seconds, recipe.dit_lr, recipe.dit_muon_lr,
        lambda name: ("transformer_blocks" in name or "encoder.block" in name) and "table" not in name
        and "relative" not in name, recipe.dit_ema, recipe.seed + 2)
    schedule = Schedule(session.device)
    # error in the picture weighted by the signal-to-noise ratio within bounds; the velocity's error is ratio + 1 of it
    weights = schedule.ratios.clamp(recipe.snr_floor, recipe.snr_cap) / (schedule.ratios + 1)
    block, text_block = session.compiled(Block.forward), session.compiled(TextBlock.forward)

    def loss_and_parts():
        clean, ids, mask, shares = batches.draw(recipe.dit_batch, trainer.generator, recipe.drop)
        timesteps = (shares * len(weights)).long().clamp(max=len(weights) - 1)
        noise = torch.randn(clean.shape, generator=trainer.generator, device=session.device)
        with session.autocast():
            text = text_encoder(ids, mask, run_block=text_block)
            velocity = predict(transformer, schedule.noised(clean, noise, timesteps), timesteps, text, mask, run_block=block)
        error = (velocity - schedule.velocity(clean, noise, timesteps)).square().mean((1, 2, 3))
        return (error * weights[timesteps]).mean(), dict(mse=error.mean())

    done = trainer.run(loss_and_parts, reserve=25)
    with torch.no_grad():
        torch._foreach_copy_(trainer.params, trainer.average)
    return done
