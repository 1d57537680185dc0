"""The noise schedule, what the transformer predicts (velocity), and the two samplers, as diffusers' schedulers run them."""
import math

import numpy as np
import torch

TIMESTEPS = 1000
BETAS = (0.0001, 0.02)
LCM_GRID = 50   # the steps of the long schedule that the few-step variant jumps along
ALPHA_PRODUCTS = torch.cumprod(1 - torch.linspace(*BETAS, TIMESTEPS, dtype=torch.float32), 0)


class Schedule:
    """Signal and noise shares of each timestep on a device: x_t = signal * x_0 + noise * e, velocity = signal * e - noise * x_0."""

    def __init__(self, device):
        products = ALPHA_PRODUCTS.to(device)
        self.signals, self.noises = products.sqrt(), (1 - products).sqrt()
        self.ratios = products / (1 - products)

    def at(self, timesteps):
        return self.signals[timesteps][:, None, None, None], self.noises[timesteps][:, None, None, None]

    def noised(self, clean, noise, timesteps):
        signal, share = self.at(timesteps)
        return signal * clean + share * noise

    def velocity(self, clean, noise, timesteps):
        signal, share = self.at(timesteps)
        return signal * noise - share * clean

    def clean(self, noisy, velocity, timesteps):
        signal, share = self.at(timesteps)
        return signal * noisy - share * velocity

    def noise(self, noisy, velocity, timesteps):
        signal, share = self.at(timesteps)
        return share * noisy + signal * velocity


def boundary(timesteps):
    """Shares of the sample itself and of the prediction in the few-step variant's answer (timestep_scaling 10)."""
    scaled = 10.0 * timesteps.float()
    skip = 0.25 / (scaled ** 2 + 0.25)
    return skip[:, None, None, None], (scaled / (scaled ** 2 + 0.25).sqrt())[:, None, None, None]


def empty_caption(ids, mask):
    """The empty caption (the end token alone) in the shape of a batch."""
    no_ids, no_mask = torch.zeros_like(ids), torch.zeros_like(mask)
    no_ids[:, 0], no_mask[:, 0] = 1, True
    return no_ids, no_mask


def predict(transformer, latents, timestep, text, mask, **options):
    """The velocity: the first half of the channels, as the second is PixArt's unused variance."""
    return transformer(latents, timestep, text, mask, **options)[:, :4].float()


@torch.no_grad()
def sample_dpm(transformer, text_encoder, ids, mask, noise, steps, guidance):
    """DPM-Solver++(2M) with classifier-free guidance. Returns scaled latents."""
    timesteps = np.linspace(0, TIMESTEPS - 1, steps + 1).round()[::-1][:-1].astype(np.int64)
    products = ALPHA_PRODUCTS.double().numpy()[timesteps]
    signal, share = np.append(np.sqrt(products), 1.0), np.append(np.sqrt(1 - products), 0.0)
    half_log_ratio = np.log(signal[:-1]) - np.log(share[:-1])
    no_ids, no_mask = empty_caption(ids, mask)
    masks = torch.cat([no_mask, mask])
    text = text_encoder(torch.cat([no_ids, ids]), masks)
    x, previous = noise.float(), None
    for i, t in enumerate(timesteps):
        both = torch.full((2 * len(x),), int(t), device=x.device)
        without, given = predict(transformer, torch.cat([x, x]), both, text, masks).chunk(2)
        clean = float(signal[i]) * x - float(share[i]) * (without + guidance * (given - without))
        if i + 1 == steps:
            return clean   # the last step removes all noise, with a first-order update
        h = half_log_ratio[i + 1] - half_log_ratio[i]
        direction = clean
        if previous is not None:
            r = (half_log_ratio[i] - half_log_ratio[i - 1]) / h
            direction = clean + (0.5 / r) * (clean - previous)
        x = float(share[i + 1] / share[i]) * x - float(signal[i + 1] * math.expm1(-h)) * direction
        previous = clean


@torch.no_grad()
def sample_lcm(transformer, text_encoder, ids, mask, noise, steps, generator):
    """Latent consistency sampling, without guidance. Returns scaled latents."""
    schedule = Schedule(noise.device)
    grid = (np.arange(1, LCM_GRID + 1) * (TIMESTEPS // LCM_GRID) - 1)[::-1]
    timesteps = grid[np.floor(np.linspace(0, LCM_GRID, steps, endpoint=False)).astype(int)]
    text = text_encoder(ids, mask)
    x = noise.float()
    for i, t in enumerate(timesteps):
        now = torch.full((len(x),), int(t), device=x.device)
        skip, out = boundary(now)
        answer = skip * x + out * schedule.clean(x, predict(transformer, x, now, text, mask), now)
        if i + 1 == steps:
            return answer
        fresh = torch.randn(x.shape, generator=generator).to(x.device)
        x = schedule.noised(answer, fresh, torch.full_like(now, int(timesteps[i + 1])))
