"""Stage 1: the autoencoder, on windows of the drawn pictures; then the latents of all of them."""
import time

import torch
import torch.nn.functional as F

from dataset.drawings import draw
from networks.autoencoder import Autoencoder
from pictures import write_sheet
from trainer import Trainer


def edge_loss(difference):
    """How much the gradients differ at three scales, and the difference itself at the coarsest."""
    loss = 0.0
    for scale in range(3):
        loss = loss + (difference[..., :, 1:] - difference[..., :, :-1]).abs().mean()
        loss = loss + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
        if scale < 2:
            difference = F.avg_pool2d(difference, 2)
    return 0.5 * loss + F.avg_pool2d(difference, 2).abs().mean()


def train_autoencoder(session, recipe, config, images, columns, count):
    """Returns the trained autoencoder with normalised latents, or None if the command must end first."""
    device, size = session.device, recipe.vae_window
    torch.manual_seed(recipe.seed)
    autoencoder = Autoencoder(config).to(device, memory_format=torch.channels_last)
    if session.has("autoencoder.pt"):
        autoencoder.load_state_dict(session.load("autoencoder.pt"))
        return autoencoder.requires_grad_(False)
    with torch.no_grad():   # little noise on the latents at first
        autoencoder.quant_conv.bias[autoencoder.latent_channels:] -= 4
    trainer = Trainer(
        session, "vae", {"autoencoder": autoencoder}, recipe.vae_seconds, recipe.vae_lr, recipe.vae_muon_lr,
        lambda name: not any(part in name for part in ("conv_in", "conv_out", "quant_conv")), recipe.vae_ema, recipe.seed + 1)

    def losses(pictures, noise):
        with session.autocast():
            out, mean, log_variance = autoencoder(pictures, noise)
        difference = out.float() - pictures
        near, far = difference.abs().mean(), difference.square().mean()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return near + far + edge_loss(difference) + recipe.kl * divergence, near, far, divergence

    compute = session.compiled(losses)

    def loss_and_parts():
        rows = torch.randint(count, (recipe.vae_batch,), generator=trainer.generator, device=device)
        centre = torch.rand(len(rows), 2, generator=trainer.generator, device=device) * 2 - 1
        pictures = draw(images, columns, rows, size, centre * (1 - size / 256))
        latent = (len(rows), autoencoder.latent_channels, size // 8, size // 8)
        noise = torch.randn(latent, generator=trainer.generator, device=device)
        loss, near, far, divergence = compute(pictures.contiguous(memory_format=torch.channels_last), noise)
        return loss, dict(l1=near, l2=far, kl=divergence)

    if not trainer.run(loss_and_parts, reserve=20):
        return None
    with trainer.averaged():
        finish(session, autoencoder, images, columns, count)
        session.save_shared(autoencoder.state_dict(), "autoencoder.pt")
    autoencoder.load_state_dict(session.load("autoencoder.pt"))
    return autoencoder.requires_grad_(False)


@torch.no_grad()
def finish(session, autoencoder, images, columns, count):
    """Normalise the latents, measure the reconstruction and show some."""
    rows = torch.randperm(count, generator=torch.Generator().manual_seed(5))[:2048].to(session.device)

    def encoded(part):
        pictures = draw(images, columns, part).contiguous(memory_format=torch.channels_last)
        with session.autocast():
            return pictures, autoencoder.encode(pictures)[0]

    latents = torch.cat([encoded(part)[1] for part in rows.split(64)])
    autoencoder.normalise_latents(latents.mean((0, 2, 3)), latents.std((0, 2, 3)))
    decibels, shown = [], []
    for part in rows[:512].split(64):
        pictures, mean = encoded(part)
        with session.autocast():
            out = autoencoder.decode(mean).float().clamp(-1, 1)
        error = ((out - pictures).square().mean((1, 2, 3)) / 4).clamp(min=1e-6)
        decibels.append(-10 * error.log10())
        shown = shown or [pictures[:8], out[:8], pictures[8:16], out[8:16]]
    psnr = torch.cat(decibels).mean().item()
    if session.first:
        write_sheet(torch.cat(shown), session.path("reconstructions.png"), columns=8)
    session.say("vae: reconstruction", psnr=psnr)
    session.record(reconstruction_psnr=round(psnr, 2))


@torch.no_grad()
def encode_all(session, autoencoder, images, columns, count):
    """Latents of all of this process's pictures, float16 [N, 4, 32, 32]."""
    if session.has(session.own("latents.pt")):
        return session.load(session.own("latents.pt"))
    start = time.time()
    parts = []
    for rows in torch.arange(count, device=session.device).split(256 if session.cuda else 8):
        with session.autocast():
            pictures = draw(images, columns, rows).contiguous(memory_format=torch.channels_last)
            parts.append(autoencoder.encode(pictures)[0].half())
    latents = torch.cat(parts)
    if not torch.isfinite(latents).all():
        raise ArithmeticError("The latents must be finite in float16")
    session.save(latents, session.own("latents.pt"))
    session.say("latents: made", count=count, seconds=time.time() - start)
    return latents
