"""Every number of the recipe, in one place. Each is an option of train.py: --vae-seconds 200."""
from dataclasses import asdict, dataclass, fields, replace


@dataclass(frozen=True)
class Recipe:
    seed: int = 1234
    # data
    limit: int = 0                # for tests: maximum number of drawings
    variants: int = 8             # pictures made of each drawing
    plain_share: float = 0.45     # share of unchanged drawings among the pictures seen,
    pair_share: float = 0.13      # and share of pairs of emoji; the rest are variants
    main_style: str = "fluent3d"  # the style that captions without a style word usually mean
    main_weight: float = 2.0      # how many times as often its drawings are seen as others
    style_named: float = 0.94     # share of the captions of other styles that name the style
    captions: int = 8             # captions of each picture
    tokens: int = 32              # longest caption
    # autoencoder
    vae_seconds: float = 170      # wall clock over all commands, without compilation; learning rates follow it
    vae_channels: tuple = (32, 48, 96, 128)
    vae_groups: int = 16
    vae_batch: int = 64
    vae_window: int = 128         # side, in pixels, of the windows that it is trained on
    vae_lr: float = 6e-4          # AdamW: first and last layers, biases, norms
    vae_muon_lr: float = 2e-3     # Muon: all other weights
    vae_ema: float = 0.999
    kl: float = 1e-3
    # transformer and text encoder
    dit_seconds: float = 880
    width: int = 320
    depth: int = 8
    head: int = 64
    dit_batch: int = 256
    dit_lr: float = 1e-3          # AdamW: embeddings, projections, biases
    dit_muon_lr: float = 3e-3     # Muon: the matrices of the blocks
    dit_ema: float = 0.9995
    drop: float = 0.1             # captions left empty, for guidance
    snr_cap: float = 5.0          # weight of a timestep's error in the picture: its signal-to-noise ratio,
    snr_floor: float = 0.1        # at most the cap and at least the floor
    # few-step variant
    lcm_seconds: float = 240
    lcm_batch: int = 256
    lcm_lr: float = 3e-4
    lcm_muon_lr: float = 1e-3
    lcm_ema: float = 0.998
    lcm_target_ema: float = 0.95
    lcm_blocks: int = 2           # number of last blocks to train, except their cross-attention; modulation is always trained
    # samples
    guidance: float = 3.0
    steps: int = 10

    def tiny(self):
        """A model that trains in seconds on one CPU core, to test the code."""
        return replace(
            self, limit=24, variants=2, captions=2, vae_seconds=12, vae_channels=(16, 16, 32, 32), vae_groups=8,
            vae_batch=8, vae_window=64, dit_seconds=12, width=64, depth=2, head=32, dit_batch=8, lcm_seconds=12,
            lcm_batch=8, lcm_blocks=1, steps=4)


def add_options(parser):
    for field in fields(Recipe):
        if field.type is not tuple:
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=None)


def from_options(options):
    recipe = Recipe().tiny() if options.tiny else Recipe()
    given = {name: getattr(options, name, None) for name in asdict(recipe)}
    return replace(recipe, **{name: value for name, value in given.items() if value is not None})
