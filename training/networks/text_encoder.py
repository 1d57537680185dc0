"""The text encoder: parameter names and arithmetic of transformers' T5EncoderModel with gated GELU."""
import math

import torch
import torch.nn.functional as F
from torch import nn

MASKED = -10000.0


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float()
        return self.weight * (y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


class SelfAttention(nn.Module):
    """Scores are not scaled by the head size, because T5's initial values compensate for it."""

    def __init__(self, config, has_bias):
        super().__init__()
        width, heads, head = config["d_model"], config["num_heads"], config["d_kv"]
        self.heads = heads
        self.q, self.k, self.v = (nn.Linear(width, heads * head, bias=False) for _ in range(3))
        self.o = nn.Linear(heads * head, width, bias=False)
        for linear in (self.k, self.v):
            nn.init.normal_(linear.weight, std=width ** -0.5)
        nn.init.normal_(self.q.weight, std=(width * head) ** -0.5)
        nn.init.normal_(self.o.weight, std=(heads * head) ** -0.5)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(config["relative_attention_num_buckets"], heads)
            nn.init.normal_(self.relative_attention_bias.weight, std=width ** -0.5)

    def forward(self, x, bias):
        batch, length, _ = x.shape
        q, k, v = (m(x).view(batch, length, self.heads, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), scale=1.0)
        return self.o(y.transpose(1, 2).reshape(batch, length, -1))


class GatedDense(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, hidden = config["d_model"], config["d_ff"]
        self.wi_0, self.wi_1 = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.wo = nn.Linear(hidden, width, bias=False)
        for linear in (self.wi_0, self.wi_1, self.wo):
            nn.init.normal_(linear.weight, std=linear.in_features ** -0.5)

    def forward(self, x):
        return self.wo(F.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


class AttentionLayer(nn.Module):
    def __init__(self, config, has_bias):
        super().__init__()
        self.SelfAttention, self.layer_norm = SelfAttention(config, has_bias), Norm(config["d_model"])


class DenseLayer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.DenseReluDense, self.layer_norm = GatedDense(config), Norm(config["d_model"])


class TextBlock(nn.Module):
    def __init__(self, config, has_bias):
        super().__init__()
        self.layer = nn.ModuleList([AttentionLayer(config, has_bias), DenseLayer(config)])

    def forward(self, x, bias):
        attention, dense = self.layer
        x = x + attention.SelfAttention(attention.layer_norm(x), bias)
        return x + dense.DenseReluDense(dense.layer_norm(x))


class Stack(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.block = nn.ModuleList(TextBlock(config, i == 0) for i in range(config["num_layers"]))
        self.final_layer_norm = Norm(config["d_model"])


def text_encoder_config(vocabulary, width=256, layers=4, heads=4, head=64, hidden=384):
    return dict(
        architectures=["T5EncoderModel"], model_type="t5", vocab_size=vocabulary, d_model=width, d_kv=head,
        d_ff=hidden, num_layers=layers, num_decoder_layers=layers, num_heads=heads, relative_attention_num_buckets=32,
        relative_attention_max_distance=128, dropout_rate=0.1, layer_norm_epsilon=1e-6, initializer_factor=1.0,
        feed_forward_proj="gated-gelu", dense_act_fn="gelu_new", is_gated_act=True, is_encoder_decoder=True,
        use_cache=True, tie_word_embeddings=False, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)


def position_buckets(length, buckets=32, max_distance=128):
    """T5's bidirectional relative position buckets, [length, length] (query, key)."""
    position = torch.arange(length)
    relative = position[None, :] - position[:, None]
    half, exact = buckets // 2, buckets // 4
    distance = relative.abs()
    growth = torch.log(distance.float().clamp(min=1) / exact) / math.log(max_distance / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return (relative > 0).long() * half + torch.where(distance < exact, distance, far)


class TextEncoder(nn.Module):
    def __init__(self, config, longest=128):
        super().__init__()
        self.config = config
        self.shared = nn.Embedding(config["vocab_size"], config["d_model"])
        self.encoder = Stack(config)
        self.register_buffer("buckets", position_buckets(longest), persistent=False)

    def forward(self, ids, mask, run_block=TextBlock.forward):
        """ids, mask [B, L] -> [B, L, width]"""
        length = ids.shape[1]
        table = self.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight
        bias = table[self.buckets[:length, :length]].permute(2, 0, 1)[None]
        bias = bias + (~mask).float()[:, None, None, :] * MASKED
        x = self.shared(ids)
        for block in self.encoder.block:
            x = run_block(block, x, bias)
        return self.encoder.final_layer_norm(x)
