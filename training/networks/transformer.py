"""The diffusion transformer: parameter names and arithmetic of diffusers' PixArtTransformer2DModel."""
import math

import torch
import torch.nn.functional as F
from torch import nn

MASKED = -10000.0


def position_embedding(width, side):
    """2D sines and cosines, [side * side, width]."""
    place = torch.arange(side, dtype=torch.float64)
    across, down = torch.meshgrid(place, place, indexing="xy")
    frequency = 1.0 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width / 4))

    def waves(position):
        angle = torch.outer(position.reshape(-1), frequency)
        return torch.cat([angle.sin(), angle.cos()], dim=1)

    return torch.cat([waves(across), waves(down)], dim=1).float()


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, width) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(width, width), nn.Identity()])

    def forward(self, x, context, bias=None):
        def split(y):
            return y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)

        q, k, v = split(self.to_q(x)), split(self.to_k(context)), split(self.to_v(context))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=None if bias is None else bias.to(q.dtype))
        return self.to_out[0](y.transpose(1, 2).reshape(x.shape))


class GeluProjection(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.proj = nn.Linear(width, hidden)

    def forward(self, x):
        return F.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([GeluProjection(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.width = width
        self.scale_shift_table = nn.Parameter(torch.randn(6, width) / width ** 0.5)
        self.attn1, self.attn2, self.ff = Attention(width, heads), Attention(width, heads), FeedForward(width)

    def forward(self, x, context, bias, modulation):
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (
            self.scale_shift_table[None] + modulation.view(len(x), 6, self.width)).chunk(6, dim=1)
        y = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + scale_a) + shift_a
        x = x + gate_a * self.attn1(y, y)
        x = x + self.attn2(x, context, bias)
        y = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + scale_f) + shift_f
        return x + gate_f * self.ff(y)


class TwoLayers(nn.Module):
    def __init__(self, width_in, width, activation):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(width_in, width), nn.Linear(width, width)
        self.activation = activation

    def forward(self, x):
        return self.linear_2(self.activation(self.linear_1(x)))


class TimeEmbedding(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.timestep_embedder = TwoLayers(256, width, F.silu)

    def forward(self, timestep):
        frequency = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32, device=timestep.device) / 128)
        angle = timestep.float()[:, None] * frequency[None]
        return self.timestep_embedder(torch.cat([angle.cos(), angle.sin()], dim=-1))


class Modulation(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.emb = TimeEmbedding(width)
        self.linear = nn.Linear(width, 6 * width)

    def forward(self, timestep):
        embedded = self.emb(timestep)
        return self.linear(F.silu(embedded)), embedded


class PatchEmbedding(nn.Module):
    def __init__(self, channels, width, patch, side):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)
        self.register_buffer("pos_embed", position_embedding(width, side)[None], persistent=False)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2) + self.pos_embed


def tanh_gelu(x):
    return F.gelu(x, approximate="tanh")


def transformer_config(caption_width, width=320, depth=8, head=64, sample_size=32):
    return dict(
        _class_name="PixArtTransformer2DModel", num_attention_heads=width // head, attention_head_dim=head,
        in_channels=4, out_channels=8, num_layers=depth, dropout=0.0, norm_num_groups=32, cross_attention_dim=width,
        attention_bias=True, sample_size=sample_size, patch_size=2, activation_fn="gelu-approximate",
        num_embeds_ada_norm=1000, upcast_attention=False, norm_type="ada_norm_single", norm_elementwise_affine=False,
        norm_eps=1e-6, interpolation_scale=1, use_additional_conditions=False, caption_channels=caption_width,
        attention_type="default")


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.width = width = config["num_attention_heads"] * config["attention_head_dim"]
        self.patch, self.channels_out = config["patch_size"], config["out_channels"]
        self.pos_embed = PatchEmbedding(config["in_channels"], width, self.patch, config["sample_size"] // self.patch)
        self.adaln_single = Modulation(width)
        self.caption_projection = TwoLayers(config["caption_channels"], width, tanh_gelu)
        self.transformer_blocks = nn.ModuleList(
            Block(width, config["num_attention_heads"]) for _ in range(config["num_layers"]))
        self.scale_shift_table = nn.Parameter(torch.randn(2, width) / width ** 0.5)
        self.proj_out = nn.Linear(width, self.patch ** 2 * self.channels_out)
        self.initialise()

    def initialise(self):
        """PixArt's initial values."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.pos_embed.proj.weight.view(self.width, -1))
        nn.init.zeros_(self.pos_embed.proj.bias)
        time, text = self.adaln_single.emb.timestep_embedder, self.caption_projection
        for linear in (time.linear_1, time.linear_2, self.adaln_single.linear, text.linear_1, text.linear_2):
            nn.init.normal_(linear.weight, std=0.02)
        for block in self.transformer_blocks:
            nn.init.zeros_(block.attn2.to_out[0].weight)
        nn.init.zeros_(self.proj_out.weight)

    def forward(self, latents, timestep, text, mask, run_block=Block.forward):
        """latents [B, 4, H, W], timestep [B], text [B, L, C], mask [B, L] -> [B, 8, H, W]"""
        batch, _, height, width = latents.shape
        x = self.pos_embed(latents)
        modulation, embedded = self.adaln_single(timestep)
        context = self.caption_projection(text)
        bias = ((~mask).to(context.dtype) * MASKED)[:, None, None, :]
        for block in self.transformer_blocks:
            x = run_block(block, x, context, bias, modulation)
        shift, scale = (self.scale_shift_table[None] + embedded[:, None]).chunk(2, dim=1)
        x = F.layer_norm(x, (self.width,), eps=1e-6) * (1 + scale) + shift
        with torch.autocast(x.device.type, enabled=False):   # a bfloat16 result would round the prediction
            x = self.proj_out(x.float())
        p = self.patch
        x = x.view(batch, height // p, width // p, p, p, self.channels_out)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(batch, self.channels_out, height, width)
