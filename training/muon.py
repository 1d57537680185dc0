"""Muon (Jordan and others, 2024): momentum, then each weight matrix's update made nearly orthogonal.

Convolutions count as matrices [out, in * k * k]. Matrices of one shape are handled together.
"""
import torch


def orthogonal(matrices, steps=5):
    """Newton-Schulz iteration on [n, a, b]."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT.contiguous() if tall else x
    for _ in range(steps):
        a = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return (x.mT if tall else x).float()


class Muon(torch.optim.Optimizer):
    """lr is on AdamW's scale: the update is multiplied by 0.2 * sqrt(larger side)."""

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            by_shape = {}
            for p in group["params"]:
                by_shape.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for (rows, columns), params in by_shape.items():
                gradient = torch.stack([p.grad.reshape(rows, columns).float() for p in params])
                state = self.state[params[0]]   # the first of each shape holds the momentum of all
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(gradient)
                state["momentum"].lerp_(gradient, 1 - group["momentum"])
                update = orthogonal(gradient.lerp(state["momentum"], group["momentum"]))
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, [u.view(p.shape) for p, u in zip(params, update)],
                                    alpha=-group["lr"] * 0.2 * max(rows, columns) ** 0.5)
