"""Where drawings and words come from: npm packages, pinned, under MIT or Apache-2.0."""
import json
import os
import re
import subprocess
from dataclasses import dataclass

WORDS = {"emojibase-data": "17.0.0", "emojilib": "4.0.3"}
RASTERIZER = {"@resvg/resvg-js": "2.6.2"}


@dataclass(frozen=True)
class Style:
    """One set of drawings. words: what a caption may call it."""
    id: str
    package: str
    version: str
    licence: str
    author: str
    words: tuple


STYLES = [
    Style("fluent3d", "@lobehub/fluent-emoji-3d", "1.1.0", "MIT", "Microsoft (Fluent Emoji), packaged by LobeHub",
          ("3d emoji", "3d icon", "3d render", "3d style emoji", "3d cartoon", "rendered 3d emoji")),
    Style("fluent", "@iconify-json/fluent-emoji", "1.2.7", "MIT", "Microsoft (Fluent Emoji), packaged by Iconify",
          ("fluent emoji", "glossy emoji", "gradient emoji", "modern emoji", "shaded vector emoji")),
    Style("flat", "@iconify-json/fluent-emoji-flat", "1.2.6", "MIT", "Microsoft (Fluent Emoji), packaged by Iconify",
          ("flat emoji", "flat icon", "flat design emoji", "minimal flat emoji", "flat vector emoji")),
    Style("noto", "@iconify-json/noto", "1.2.9", "Apache-2.0", "Google (Noto Emoji), packaged by Iconify",
          ("noto emoji", "google emoji", "android emoji", "google style emoji", "cartoon emoji")),
    Style("notov1", "@iconify-json/noto-v1", "1.2.5", "Apache-2.0", "Google (Noto Emoji), packaged by Iconify",
          ("old noto emoji", "blob emoji", "old android emoji", "retro google emoji")),
]


def install(folder):
    """Install the pinned packages and return the folder that holds them."""
    os.makedirs(folder, exist_ok=True)
    wanted = {**{s.package: s.version for s in STYLES}, **WORDS, **RASTERIZER}
    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as f:
        json.dump({"private": True, "dependencies": wanted}, f, indent=2)
    subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return os.path.join(folder, "node_modules")


def read_json(modules, *path):
    with open(os.path.join(modules, *path), encoding="utf-8") as f:
        return json.load(f)


def code_points(text):
    """A sequence of hexadecimal code points without the variation selectors: 2764-fe0f becomes 2764."""
    return "-".join(p for p in re.split("[-_]", text.lower()) if p not in ("fe0f", "fe0e"))


def drawings(modules, style):
    """Maps of one style: code points to drawing, and the set of all drawing names (both empty where unknown)."""
    if style.id == "fluent3d":
        files = os.listdir(os.path.join(modules, style.package, "assets"))
        by_code = {code_points(f[:-5]): f for f in files if f.endswith(".webp")}
        return by_code, set(by_code.values())
    icons = read_json(modules, style.package, "icons.json")
    plain_aliases = {a for a, v in icons.get("aliases", {}).items() if set(v) <= {"parent", "hidden"}}
    chars = os.path.join(modules, style.package, "chars.json")
    by_code = read_json(modules, style.package, "chars.json") if os.path.exists(chars) else {}
    return {code_points(k): v for k, v in by_code.items()}, set(icons["icons"]) | plain_aliases
