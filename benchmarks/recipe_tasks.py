"""Three made tasks for `python -m benchmarks.recipes`: digits, letters and textures, each by a clean camera and by another one.

A task is a function of a seed that returns three parts of rows in memory: `first` (clean, for the version that is live),
`tuning` and `held` (by the other camera). Nothing is in two parts.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from benchmarks.gpu import pictures
from benchmarks.gpu.made import Rows
from pipeline.demo import digits

SIDE = 32
SIZES = {"first": 500, "tuning": 200, "held": 500}
LETTERS = "ACEHKMSX"
CLEAN_FONTS, OTHER_FONTS = ("DejaVuSans.ttf",), ("DejaVuSerif.ttf", "DejaVuSansMono-Bold.ttf", "STIXGeneral.ttf")
TEXTURES = ("across", "down", "diagonal", "checks", "dots", "rings", "noise", "blobs")
RARER = 0.75  # each texture is so often seen as the one before it: the last is 7 times rarer than the first

Parts = dict[str, Rows]


def make_digits(seed: int) -> Parts:
    """The demo's digits, its drift included; its part for `held` has 400."""
    parts = {"first": ("first_training", "clean"), "tuning": ("drifted",), "held": ("recovered",)}
    return {part: pictures.decode([p for name in names for p in digits.make_part(name, seed)][:SIZES[part]], SIDE)
            for part, names in parts.items()}


def make_letters(seed: int) -> Parts:
    """Capital letters; the other camera sees other fonts, tilted, on paper that is not white."""
    return _draw_parts(seed, "letters", len(LETTERS), None, _draw_letter)


def make_textures(seed: int) -> Parts:
    """Patterns, of which some are rare; the other camera is turned, its light is coloured."""
    return _draw_parts(seed, "textures", len(TEXTURES), RARER ** np.arange(len(TEXTURES)), _draw_texture)


TASKS: dict[str, tuple[Callable[[int], Parts], Sequence[str]]] = {
    "digits": (make_digits, pictures.CLASSES), "letters": (make_letters, LETTERS), "textures": (make_textures, TEXTURES)}


def _draw_parts(seed: int, task: str, classes: int, weights: np.ndarray | None,
                draw: Callable[[int, bool, np.random.Generator], np.ndarray]) -> Parts:
    share = None if weights is None else weights / weights.sum()
    parts = {}
    for n, (part, size) in enumerate(SIZES.items()):
        rng = np.random.default_rng([seed, n])
        labels = rng.choice(classes, size, p=share)
        drawn = np.stack([draw(int(label), part != "first", rng) for label in labels])
        images = torch.from_numpy(np.clip(drawn, 0, 255).astype(np.uint8)).permute(0, 3, 1, 2)
        hashes = [hashlib.sha256(f"{task}/{seed}/{part}/{k}".encode()).hexdigest() for k in range(size)]
        parts[part] = Rows(images, torch.from_numpy(labels), hashes)
    return parts


def _draw_letter(label: int, other: bool, rng: np.random.Generator) -> np.ndarray:
    """Returns one letter, float [SIDE, SIDE, 3]."""
    font = _open_font(str(rng.choice(OTHER_FONTS if other else CLEAN_FONTS)), int(rng.integers(22, 28)))
    paper, ink = ((rng.integers(120, 220, 3), rng.integers(0, 100, 3)) if other else (np.full(3, 255), np.zeros(3, int)))
    image = Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in paper))
    at = SIDE / 2 + rng.uniform(-2, 2, 2)
    ImageDraw.Draw(image).text((float(at[0]), float(at[1])), LETTERS[label], fill=tuple(int(v) for v in ink), font=font,
                               anchor="mm")
    turned = image.rotate(float(rng.uniform(10, 30) if other else rng.uniform(-5, 5)), Image.Resampling.BILINEAR,
                          fillcolor=tuple(int(v) for v in paper))
    return np.asarray(turned, float) + rng.normal(0, 15 if other else 8, (SIDE, SIDE, 3))


@cache
def _open_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Opens a font that matplotlib brings, without importing it."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise SystemExit("the letters need the fonts of matplotlib; `make setup` installs it")
    return ImageFont.truetype(str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name), size)


def _draw_texture(label: int, other: bool, rng: np.random.Generator) -> np.ndarray:
    """Returns one pattern, float [SIDE, SIDE, 3]."""
    y, x = np.mgrid[:SIDE, :SIDE] + rng.uniform(0, SIDE, (2, 1, 1))
    angle = np.radians(rng.uniform(12, 32) if other else rng.uniform(-5, 5))
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    pattern = _evaluate(TEXTURES[label], x, y, 2 * np.pi / rng.uniform(5, 11), rng)
    strength, noise = (rng.uniform(20, 60), 30) if other else (rng.uniform(70, 110), 10)
    tint = rng.uniform(0.6, 1.2, 3) if other else np.ones(3)
    return (128 + strength * pattern[..., None]) * tint + rng.normal(0, noise, (SIDE, SIDE, 3))


def _evaluate(name: str, x: np.ndarray, y: np.ndarray, wave: float, rng: np.random.Generator) -> np.ndarray:
    """Returns the pattern at the points (x, y), about -1 to 1; `wave`: radians a pixel."""
    match name:
        case "across":
            return np.sin(wave * y)
        case "down":
            return np.sin(wave * x)
        case "diagonal":
            return np.sin(wave * (x + y) / np.sqrt(2))
        case "checks":
            return np.sign(np.sin(wave * x) * np.sin(wave * y))
        case "dots":
            return 2.0 * (np.sin(wave * x) + np.sin(wave * y) > 1) - 1
        case "rings":
            center = rng.uniform(x.min(), x.max()), rng.uniform(y.min(), y.max())
            return np.sin(wave * np.hypot(x - center[0], y - center[1]))
        case "noise":
            return rng.normal(0, 0.7, x.shape)
    waves = rng.normal(0, wave / 2, (6, 2))
    return sum(np.sin(a * x + b * y + rng.uniform(0, 2 * np.pi)) for a, b in waves) / 3
