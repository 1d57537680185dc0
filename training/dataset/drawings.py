"""Training pictures: each drawing in several variants (size, place, mirror image, colour, background), and pairs."""
import random

import numpy as np
import torch
import torch.nn.functional as F

from dataset.captions import Captioner

# new main hue, saturation factor, value factor
HUE_TARGETS = {
    "red": (2, 1.05, 0.95), "orange": (27, 1.05, 1.0), "yellow": (50, 1.0, 1.05), "green": (125, 0.9, 0.85),
    "blue": (214, 1.0, 0.95), "purple": (274, 0.85, 0.9), "pink": (330, 0.62, 1.05), "brown": (24, 0.85, 0.58),
    "black": (220, 0.15, 0.28), "gray": (220, 0.05, 0.75)}
TINTS = {
    "red": (.95, .27, .25), "orange": (1., .6, .2), "yellow": (1., .85, .25), "green": (.4, .8, .4),
    "blue": (.35, .6, 1.), "purple": (.7, .45, .95), "pink": (1., .6, .8), "brown": (.6, .42, .3),
    "black": (.25, .25, .28)}
BACKGROUNDS = {
    "red": (.92, .3, .3), "orange": (1., .68, .3), "yellow": (1., .9, .4), "green": (.5, .82, .5),
    "blue": (.38, .62, .95), "light blue": (.72, .87, 1.), "purple": (.68, .5, .9), "pink": (1., .72, .84),
    "black": (.08, .08, .1), "gray": (.7, .7, .72)}
WHITE = (1.0, 1.0, 1.0)


class Plan:
    """The content of every training picture: a table with one row per picture (columns as tensors), and the captions."""

    def __init__(self, pack, recipe, seed):
        self.pack, self.recipe, self.rng = pack, recipe, np.random.default_rng(seed)
        self.main_style = [s["id"] for s in pack.styles].index(recipe.main_style)
        numbers = range(len(pack.pictures))
        plain = [self.plain(i) for i in numbers]
        varied = [self.variant(i) for i in numbers for _ in range(recipe.variants - 1)]
        alone = [i for i in numbers if pack.emoji[pack.pictures[i][0]]["kind"] not in ("symbol", "person", "body")]
        self.by_style = [[i for i in alone or numbers if pack.pictures[i][1] == s] for s in range(len(pack.styles))]
        pairs = [self.pair() for _ in range(int(recipe.pair_share * len(varied)))]
        shares = (recipe.plain_share, 1 - recipe.plain_share - recipe.pair_share, recipe.pair_share)
        for group, share in zip((plain, varied, pairs), shares):
            total = sum(row["weight"] for row in group)
            for row in group:
                row["weight"] *= share / total
        rows = plain + varied + pairs
        self.texts = [(r["picture"], r["second"], r.pop("new_colour"), r.pop("background_name")) for r in rows]
        integers = ("picture", "second")
        self.columns = {k: torch.tensor([r[k] for r in rows], dtype=torch.long if k in integers else torch.float32)
                        for k in rows[0]}

    def __len__(self):
        return len(self.texts)

    def pick(self, values):
        return values[self.rng.integers(len(values))]

    @staticmethod
    def row(picture, second=-1, **values):
        plain = dict(mirror=0, scale=0.94, x=0.0, y=0.0, hue=0, turn=0.0, saturation=1.0, value=1.0, tint=WHITE,
                     tinted=0.0, background=WHITE, weight=1.0, new_colour="", background_name="")
        return dict(plain, picture=picture, second=second, **values)

    def weight(self, picture):
        which, style = self.pack.pictures[picture][:2]
        return self.pack.emoji[which]["weight"] * (self.recipe.main_weight if style == self.main_style else 1)

    def plain(self, picture):
        """The drawing as it is."""
        return self.row(picture, weight=self.weight(picture))

    def variant(self, picture):
        which, _, _, _, (colour, hue, turns, tints) = self.pack.pictures[picture]
        emoji, rng = self.pack.emoji[which], self.rng
        row = self.row(picture, weight=self.weight(picture), hue=hue)
        row["scale"] = float(rng.uniform(0.84, 1.0))
        room = 1.0 - row["scale"]
        row["x"], row["y"] = float(rng.uniform(-room, room)), float(rng.uniform(-room, room))
        row["mirror"] = int(emoji["mirrored"] and rng.random() < 0.3)
        if emoji["kind"] not in ("person", "body") and not emoji.get("tone") and rng.random() < 0.5:
            new = self.pick(list(HUE_TARGETS if turns else TINTS))
            if turns and new != colour:
                target, row["saturation"], row["value"] = HUE_TARGETS[new]
                row.update(turn=(target - hue + 180) % 360 - 180, new_colour=new)
            elif tints and not turns:
                row.update(tint=TINTS[new], tinted=1.0, new_colour=new)
        if rng.random() < 0.07:
            background = self.pick(list(BACKGROUNDS))
            if background != (row["new_colour"] or colour):
                row.update(background=BACKGROUNDS[background], background_name=background)
        return row

    def pair(self):
        """Two emoji of one style side by side. A quarter of the pictures show the same emoji twice."""
        styles = [s for s, pictures in enumerate(self.by_style) if pictures]
        is_main = self.main_style in styles and self.rng.random() < 0.6
        candidates = self.by_style[self.main_style if is_main else self.pick(styles)]
        left, right = self.pick(candidates), self.pick(candidates)
        if self.rng.random() < 0.25:
            right = left
        return self.row(left, right, scale=0.47, x=-0.5, weight=self.weight(left) + self.weight(right))

    def captions(self, per_picture, seed):
        """per_picture captions for each row, in the order of the rows."""
        captioner = Captioner(self.pack.emoji, self.pack.styles, self.main_style, self.recipe.style_named)
        rng, pictures = random.Random(seed), self.pack.pictures
        out = []
        for picture, second, new_colour, background in self.texts:
            which, style, _, _, (colour, *_) = pictures[picture]
            for _ in range(per_picture):
                if second >= 0:
                    other, _, _, _, (other_colour, *_) = pictures[second]
                    out.append(captioner.pair(which, other, style, rng, colour, other_colour))
                else:
                    shown = "" if new_colour else colour
                    out.append(captioner.caption(which, style, rng, shown, new_colour, background))
        return out


def per_pixel(values):
    return values[:, None, None]


def recolour(rgb, hue, turn, saturation, value):
    """Turn the hue of pixels near the main hue, and keep the others. rgb [B, 3, H, W] in 0..1, hues in degrees, the rest [B]."""
    high, low = rgb.amax(1), rgb.amin(1)
    chroma = high - low
    red, green, blue = rgb.unbind(1)
    safe = chroma.clamp(min=1e-5)
    own = 60 * torch.where(high == red, ((green - blue) / safe) % 6,
                           torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4))
    own_saturation = chroma / high.clamp(min=1e-5)
    distance = ((own - per_pixel(hue) + 180) % 360 - 180).abs()
    share = ((75 - distance) / 30).clamp(0, 1) * (own_saturation * 8).clamp(0, 1)
    sector = (own + per_pixel(turn)) % 360 / 60
    new_saturation = (own_saturation * per_pixel(saturation)).clamp(0, 1)
    new_value = (high * per_pixel(value)).clamp(0, 1)
    k = (torch.tensor([5., 3., 1.], device=rgb.device)[None, :, None, None] + sector[:, None]) % 6
    turned = new_value[:, None] * (1 - new_saturation[:, None] * torch.minimum(k, 4 - k).clamp(0, 1))
    return rgb + share[:, None] * (turned - rgb)


def place(layer, scale, x, y, mirror, size, window):
    """The drawing at its place on the canvas (-1..1), seen through a window of size x size of its 256 pixels."""
    sign, zoom = 1 - 2 * mirror, size / 256
    matrix = torch.zeros(len(layer), 2, 3, device=layer.device)
    matrix[:, 0, 0] = sign * zoom / scale
    matrix[:, 1, 1] = zoom / scale
    matrix[:, 0, 2] = sign * (window[:, 0] - x) / scale
    matrix[:, 1, 2] = (window[:, 1] - y) / scale
    grid = F.affine_grid(matrix, (len(layer), 4, size, size), align_corners=False)
    return F.grid_sample(layer, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@torch.no_grad()
def draw(images, columns, rows, size=256, window=None):
    """Pictures [B, 3, size, size] in -1..1 of the given rows of a plan.

    images: all drawings, uint8 [N, 4, 256, 256]; columns: the plan's, on the same device. A size under 256 cuts out a
    window of the canvas, whose centre is window [B, 2] in -1..1.
    """
    row = {k: v[rows] for k, v in columns.items()}
    window = torch.zeros(len(rows), 2, device=images.device) if window is None else window

    def layer(picture):
        x = images[picture].float() / 255
        rgb, alpha = x[:, :3], x[:, 3:]
        rgb = recolour(rgb, row["hue"], row["turn"], row["saturation"], row["value"])
        tinted = row["tinted"][:, None, None, None]
        rgb = rgb * (1 - tinted) + (rgb * 1.2).clamp(max=1) * row["tint"][:, :, None, None] * tinted
        return torch.cat([rgb * alpha, alpha], 1)

    is_pair = (row["second"] >= 0)[:, None, None, None]
    first = layer(row["picture"])
    halved = F.interpolate(F.avg_pool2d(first, 2), size=256)   # avoids aliasing in drawings that are shown at half their size
    at = (row["scale"], row["x"], row["y"], row["mirror"], size, window)
    canvas = place(torch.where(is_pair, halved, first), *at)
    second = place(F.interpolate(F.avg_pool2d(layer(row["second"].clamp(min=0)), 2), size=256),
                   row["scale"], -row["x"], -row["y"], row["mirror"], size, window)
    canvas = canvas + second * is_pair
    picture = canvas[:, :3] + (1 - canvas[:, 3:]) * row["background"][:, :, None, None]
    return (picture * 2 - 1).clamp(-1, 1)
