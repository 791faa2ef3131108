"""Characters of a script, drawn from the fonts that matplotlib ships with seeded variation: data without any download.

Each image: a font, then one affine map (rotation, shear, scale, shift), a pen (blurred and cut at another level, which
thickens or thins the strokes), softness and noise. The set depends on the script alone, not on a run's seed.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont
from jaxtyping import Float, Int64, UInt8
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from munet import rng
from munet.data.scripts import characters

FORMAT = 1  # count up when the images of a script change
SIZE = 32  # pixels on a side of an image
MAX_CLASSES = 100
_MAX_IMAGES = 6000  # in a script
_IMAGES_PER_CLASS = (60, 120)  # fewest, most

_EM = 56  # pixels: the font size that characters are drawn at before they are transformed
_MASTER = 96  # pixels on a side of that drawing
_WORK = 2 * SIZE  # the strokes are varied at twice the resolution
_NUM_DRAWS = 12  # uniforms an image takes

# Families whose tables of characters are those of Unicode, from plain to fancy. The oblique ones are left to the shear.
_FONTS = (
    "DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "DejaVuSans-Bold", "DejaVuSerif-Bold",
    "DejaVuSansMono-Bold", "STIXGeneralBol", "DejaVuSerif-Italic", "STIXGeneralItalic",
)  # fmt: skip


def render(script: str) -> tuple[UInt8[np.ndarray, "n 32 32 1"], Int64[np.ndarray, " n"], list[str]]:
    """All images of a script, their labels and the characters by label.

    Args:
      script: one of `scripts.SCRIPTS`.
    """
    classes = _distinct_characters(script)
    fewest, most = _IMAGES_PER_CLASS
    count = min(max(_MAX_IMAGES // len(classes), fewest), most)
    images = np.empty((len(classes) * count, _WORK, _WORK), np.float32)
    draws = _uniforms(script, len(images))
    for label, character in enumerate(classes):
        fonts = [font for font in _FONTS if ord(character) in _coverage(font)]
        masters = [_master(character, font) for font in fonts]
        for index in range(label * count, (label + 1) * count):
            master = masters[int(draws[index, 0] * len(masters))]
            images[index] = _transform(master, draws[index])
    labels = np.repeat(np.arange(len(classes)), count)
    return _pen(images, draws)[..., None], labels, classes


def _uniforms(script: str, count: int) -> Float[np.ndarray, "count draws"]:
    """Uniforms in [0, 1) from a counter generator, whose raw words no library version changes."""
    key = int.from_bytes(rng.digest(("glyphs", FORMAT, script))[:16], "big")
    words = np.random.Philox(key=key).random_raw(count * _NUM_DRAWS)
    return (words >> np.uint64(11)).astype(np.float64).reshape(count, _NUM_DRAWS) / (1 << 53)


@cache
def _font_path(font: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


@cache
def _coverage(font: str) -> frozenset[int]:
    """Code points that a font has."""
    with TTFont(_font_path(font), lazy=True) as file:
        return frozenset(file.getBestCmap())


@cache
def _face(font: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_font_path(font)), _EM, layout_engine=ImageFont.Layout.BASIC)


def _master(character: str, font: str) -> Image.Image:
    """The character in white on black, its box in the middle."""
    face = _face(font)
    left, top, right, bottom = face.getbbox(character)
    image = Image.new("L", (_MASTER, _MASTER))
    origin = ((_MASTER - left - right) / 2, (_MASTER - top - bottom) / 2)
    ImageDraw.Draw(image).text(origin, character, fill=255, font=face)
    # Wide or tall characters are shrunk to the box of an ordinary capital.
    box = image.getbbox()
    longest = max(box[2] - box[0], box[3] - box[1]) if box else 0
    if longest > _EM:
        shrunk = image.resize((round(_MASTER * _EM / longest),) * 2, Image.Resampling.BILINEAR)
        image = Image.new("L", (_MASTER, _MASTER))
        image.paste(shrunk, ((_MASTER - shrunk.width) // 2,) * 2)
    return image


def _transform(master: Image.Image, draws: Float[np.ndarray, " draws"]) -> UInt8[np.ndarray, "work work"]:
    """One affine map of the drawing: rotation up to 15 degrees, shear, scale by axis, shift."""
    rotation = math.radians(15) * _signed(draws[1])
    shear = 0.3 * _signed(draws[2])
    scale = 0.65 + 0.4 * draws[3]
    stretch = math.exp(0.2 * _signed(draws[4]))
    shift = np.array([_signed(draws[5]), _signed(draws[6])]) * (0.08 * _WORK)
    turn = np.array([[math.cos(rotation), -math.sin(rotation)], [math.sin(rotation), math.cos(rotation)]])
    forward = turn @ np.array([[scale * stretch, shear * scale], [0, scale / stretch]]) * (_WORK / 72)
    inverse = np.linalg.inv(forward)
    offset = _MASTER / 2 - inverse @ (_WORK / 2 + shift)
    coefficients = (*inverse[0], offset[0], *inverse[1], offset[1])
    moved = master.transform((_WORK, _WORK), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(moved)


def _pen(
    images: Float[np.ndarray, "n work work"], draws: Float[np.ndarray, "n draws"]
) -> UInt8[np.ndarray, "n 32 32"]:
    """Varies stroke width, softness, ink and noise, halves the resolution."""
    ink = ndimage.gaussian_filter1d(ndimage.gaussian_filter1d(images, 1.2, axis=1), 1.2, axis=2) / 255
    level, sharpness, strength, noise = (draws[:, column, None, None].astype(np.float32) for column in (7, 8, 9, 10))
    # Cutting a blurred drawing low thickens its strokes, cutting it high thins them; the slope is its softness.
    ink = np.clip((ink - (0.15 + 0.3 * level)) * (1.5 + 3 * sharpness) + 0.5, 0, 1)
    small = ink.reshape(len(ink), SIZE, 2, SIZE, 2).mean((2, 4))
    grain = _grain(draws[:, 11], small.shape)
    return np.rint(255 * np.clip(small * (0.6 + 0.4 * strength) + 0.12 * noise * grain, 0, 1)).astype(np.uint8)


def _grain(draws: Float[np.ndarray, " n"], shape: tuple[int, ...]) -> Float[np.ndarray, "n 32 32"]:
    """Noise of mean 0 and unit variance: sums of four random bytes."""
    key = int.from_bytes(rng.digest(("grain", float(draws[0]).hex()))[:16], "big")
    words = np.random.Philox(key=key).random_raw(math.prod(shape) // 2)
    octets = words.astype("<u8").view(np.uint8).reshape(*shape, 4).astype(np.float32)
    return (octets.sum(-1) - 510) / 147.8


def _distinct_characters(script: str) -> list[str]:
    """Characters that a font has and that look like no earlier one, whatever their size and place."""
    chosen: list[str] = []
    shapes = np.empty((0, 24, 24), np.float32)
    for character in characters(script):
        font = next((font for font in _FONTS if ord(character) in _coverage(font)), None)
        if font is None:
            continue
        image = _master(character, font)
        box = image.getbbox()
        if box is None:
            continue
        shape = _normal_shape(image.crop(box))
        if len(shapes) and np.abs(shapes - shape).mean((1, 2)).min() < 0.035:
            continue
        chosen.append(character)
        shapes = np.concatenate([shapes, shape[None]])
        if len(chosen) == MAX_CLASSES:
            break
    return chosen


def _normal_shape(ink: Image.Image) -> Float[np.ndarray, "24 24"]:
    """The drawing scaled so that its longer side fills 24 pixels, in the middle; ink from 0 to 1."""
    scale = 24 / max(ink.size)
    size = (max(round(ink.width * scale), 1), max(round(ink.height * scale), 1))
    canvas = Image.new("L", (24, 24))
    canvas.paste(ink.resize(size, Image.Resampling.BILINEAR), ((24 - size[0]) // 2, (24 - size[1]) // 2))
    return np.asarray(canvas, np.float32) / 255


def _signed(draw: float) -> float:
    """From [0, 1) to [-1, 1)."""
    return 2 * float(draw) - 1
