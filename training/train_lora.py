"""Trains a LoRA for the embedded model with PEFT, on a folder of drawings and their captions, and writes it as a PEFT
folder in float16.

  python chalk_drawings.py out/chalk
  python train_lora.py out/chalk ../models/pixstage-emoji/loras/chalk
"""
import argparse
import json
import os
import time

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image

from checkpoint import read_config, read_network
from diffusion import Schedule, predict
from pictures import MODEL, read_captions

# self-attention, the outputs of both attentions, and the feed-forward: they decide how things look, not what words mean
TARGETS = ["attn1.to_q", "attn1.to_k", "attn1.to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]


def read_drawings(folder):
    """Pictures [N, 3, 256, 256] in -1..1, and their captions."""
    with open(os.path.join(folder, "captions.json"), encoding="utf-8") as f:
        captions = json.load(f)
    pictures = [Image.open(os.path.join(folder, f"{number:03}.png")).convert("RGB") for number in range(len(captions))]
    pixels = torch.from_numpy(np.stack([np.asarray(picture, np.float32) for picture in pictures]))
    return pixels.permute(0, 3, 1, 2) / 127.5 - 1, captions


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("drawings")
    parser.add_argument("out")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--drop", type=float, default=0.1, help="share of empty captions, for guidance")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    transformer, text_encoder, vae = (
        read_network(MODEL, part).to(device).requires_grad_(False) for part in ("transformer", "text_encoder", "vae"))
    pictures, captions = read_drawings(args.drawings)
    ids, masks = (values.to(device) for values in read_captions([*captions, ""]))
    with torch.no_grad():
        latents = vae.encode(pictures.to(device))[0] * read_config(MODEL, "vae")["scaling_factor"]
        texts = text_encoder(ids, masks)
    config = LoraConfig(r=args.rank, lora_alpha=2 * args.rank, target_modules=TARGETS)
    model = get_peft_model(transformer, config)
    schedule = Schedule(device)
    # weighted as in the model's own training: the error in the picture by the signal-to-noise ratio within bounds
    weights = schedule.ratios.clamp(0.1, 5) / (schedule.ratios + 1)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=args.lr, weight_decay=0)
    curve = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.steps, pct_start=0.1)
    began, losses = time.time(), []
    for step in range(args.steps):
        rows = torch.randint(len(latents), (args.batch,))
        words = torch.where(torch.rand(args.batch) < args.drop, len(latents), rows).to(device)
        shares = (torch.arange(args.batch) + torch.rand(args.batch)) / args.batch
        timesteps = (shares * len(weights)).long().clamp(max=len(weights) - 1).to(device)
        clean = latents[rows.to(device)]
        noise = torch.randn(clean.shape).to(device)
        velocity = predict(model, schedule.noised(clean, noise, timesteps), timesteps, texts[words], masks[words])
        error = (velocity - schedule.velocity(clean, noise, timesteps)).square().mean((1, 2, 3))
        loss = (error * weights[timesteps]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {np.mean(losses[-100:]):.4f}, {time.time() - began:.0f} s on {device}", flush=True)
    model.half().save_pretrained(args.out)
    os.remove(os.path.join(args.out, "README.md"))


if __name__ == "__main__":
    main()
