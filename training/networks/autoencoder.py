"""The picture autoencoder: parameter names and arithmetic of diffusers' AutoencoderKL."""
import torch
import torch.nn.functional as F
from torch import nn


class ResnetBlock(nn.Module):
    def __init__(self, channels_in, channels, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels_in, eps=1e-6)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, eps=1e-6)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else None

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (x if self.conv_shortcut is None else self.conv_shortcut(x))


class Attention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels), nn.Identity()])

    def forward(self, x):
        batch, channels, height, width = x.shape
        y = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]
        y = F.scaled_dot_product_attention(self.to_q(y), self.to_k(y), self.to_v(y))
        return x + self.to_out[0](y)[:, 0].transpose(1, 2).reshape(batch, channels, height, width)


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The residual blocks of one resolution, followed by the change to the next resolution."""

    def __init__(self, channels_in, channels, blocks, groups, resample=None):
        super().__init__()
        self.resnets = nn.ModuleList(
            ResnetBlock(channels_in if i == 0 else channels, channels, groups) for i in range(blocks))
        if resample is Downsample:
            self.downsamplers = nn.ModuleList([Downsample(channels)])
        if resample is Upsample:
            self.upsamplers = nn.ModuleList([Upsample(channels)])

    def forward(self, x):
        for part in self.children():
            for module in part:
                x = module(x)
        return x


class Middle(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.attentions = nn.ModuleList([Attention(channels, groups)])
        self.resnets = nn.ModuleList([ResnetBlock(channels, channels, groups) for _ in range(2)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Encoder(nn.Module):
    def __init__(self, channels, blocks, groups, latent_channels):
        super().__init__()
        last = len(channels) - 1
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            Level(channels[max(i - 1, 0)], c, blocks, groups, Downsample if i < last else None)
            for i, c in enumerate(channels))
        self.mid_block = Middle(channels[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(channels[-1], 2 * latent_channels, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class Decoder(nn.Module):
    def __init__(self, channels, blocks, groups, latent_channels):
        super().__init__()
        channels, last = channels[::-1], len(channels) - 1
        self.conv_in = nn.Conv2d(latent_channels, channels[0], 3, padding=1)
        self.mid_block = Middle(channels[0], groups)
        self.up_blocks = nn.ModuleList(
            Level(channels[max(i - 1, 0)], c, blocks + 1, groups, Upsample if i < last else None)
            for i, c in enumerate(channels))
        self.conv_norm_out = nn.GroupNorm(groups, channels[-1], eps=1e-6)
        self.conv_out = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for level in self.up_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


def autoencoder_config(channels=(32, 48, 96, 128), layers=1, groups=16, latent_channels=4):
    return dict(
        _class_name="AutoencoderKL", in_channels=3, out_channels=3,
        down_block_types=["DownEncoderBlock2D"] * len(channels), up_block_types=["UpDecoderBlock2D"] * len(channels),
        block_out_channels=list(channels), layers_per_block=layers, act_fn="silu", latent_channels=latent_channels,
        norm_num_groups=groups, sample_size=256, scaling_factor=1.0, force_upcast=False, use_quant_conv=True,
        use_post_quant_conv=True, mid_block_add_attention=True)


class Autoencoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.latent_channels = latent = config["latent_channels"]
        shape = (config["block_out_channels"], config["layers_per_block"], config["norm_num_groups"], latent)
        self.encoder, self.decoder = Encoder(*shape), Decoder(*shape)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    def encode(self, pictures):
        """Mean and log variance of the latents, [B, 4, H / 8, W / 8] each."""
        mean, log_variance = self.quant_conv(self.encoder(pictures)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-30.0, 20.0)

    def decode(self, latents):
        """Pictures [B, 3, H, W], nominally in -1..1."""
        return self.decoder(self.post_quant_conv(latents))

    def forward(self, pictures, noise):
        mean, log_variance = self.encode(pictures)
        return self.decode(mean + torch.exp(0.5 * log_variance) * noise), mean, log_variance

    @torch.no_grad()
    def normalise_latents(self, mean, deviation):
        """Fold the latents' statistics per channel into the two 1 x 1 convolutions, without changing the autoencoder's results."""
        n = self.latent_channels
        quant, post = self.quant_conv, self.post_quant_conv
        quant.weight[:n] /= deviation[:, None, None, None]
        quant.bias[:n] = (quant.bias[:n] - mean) / deviation
        quant.bias[n:] -= 2 * torch.log(deviation)
        post.bias += (post.weight[:, :, 0, 0] * mean[None]).sum(1)
        post.weight *= deviation[None, :, None, None]
