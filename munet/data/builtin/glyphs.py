"""Characters of a script, drawn from the fonts that matplotlib ships with seeded variation: data without any download.

Each image: a font, then one affine map (rotation, shear, scale, shift), a pen (blurred and cut at another level, which
thickens or thins the strokes), softness and noise. The set depends on the script alone, not on a run's seed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # has no stubs
from jaxtyping import Float, Int64, UInt8, UInt64
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from munet import rng
from munet.data.builtin.scripts import characters

FORMAT = 2  # count up when the images of a script or the names of its classes change
SIZE = 32  # pixels on a side of an image
MAX_CLASSES = 100
_SAME = 0.1  # characters whose ink differs in less than this part are the same to the eye
_MAX_IMAGES = 6000  # in a script
_IMAGES_PER_CLASS = (60, 120)  # fewest, most

_EM = 56  # pixels: the font size that characters are drawn at before they are transformed
_MASTER = 96  # pixels on a side of that drawing
_WORK = 2 * SIZE  # the strokes are varied at twice the resolution
_BLUR = 1.6  # pixels of the drawing: how far a pen can thicken or thin a stroke
_NUM_DRAWS = 11  # uniforms an image takes

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
    images = np.empty((len(classes) * count, _WORK, _WORK), np.uint8)
    draws = _uniforms(("glyphs", FORMAT, script), len(images))
    maps = _affine_maps(draws)
    for label, character in enumerate(classes):
        fonts = [font for font in _FONTS if ord(character) in _coverage(font)]
        masters = [_master(character, font).filter(ImageFilter.GaussianBlur(_BLUR)) for font in fonts]
        for index in range(label * count, (label + 1) * count):
            master = masters[int(draws[index, 0] * len(masters))]
            moved = master.transform((_WORK, _WORK), Image.Transform.AFFINE, maps[index], Image.Resampling.BILINEAR)
            images[index] = np.asarray(moved)
    labels = np.repeat(np.arange(len(classes)), count)
    inked = _pen(images, draws) + 0.1 * draws[:, 10, None, None] * _grain(("grain", FORMAT, script), len(images))
    return np.rint(255 * np.clip(inked, 0, 1)).astype(np.uint8)[..., None], labels, classes


def _words(path: rng.Path, count: int) -> UInt64[np.ndarray, " count"]:
    """Random words of a counter generator, which no library version changes."""
    return np.random.Philox(key=int.from_bytes(rng.digest(path)[:16], "big")).random_raw(count)


def _uniforms(path: rng.Path, count: int) -> Float[np.ndarray, "count draws"]:
    """Uniforms in [0, 1), some for each image."""
    words = _words(path, count * _NUM_DRAWS)
    return (words >> np.uint64(11)).astype(np.float64).reshape(count, _NUM_DRAWS) / (1 << 53)


def _grain(path: rng.Path, count: int) -> Float[np.ndarray, "count 32 32"]:
    """Noise of mean 0 and variance 1: sums of four random bytes."""
    octets = _words(path, count * SIZE * SIZE // 2).astype("<u8").view(np.uint8)
    sums = octets.reshape(count, SIZE, SIZE, 4).sum(-1, dtype=np.int16)
    return (sums - 510) * np.float32(1 / 147.8)


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


def _affine_maps(draws: Float[np.ndarray, "n draws"]) -> list[tuple[float, ...]]:
    """For each image how a pixel is found in the drawing: x' = a x + b y + c, y' = d x + e y + f as (a, ..., f).

    Rotation up to 15 degrees, shear, scale by axis, shift. Only sums, products and quotients: every machine computes
    the same bits, which is not so for sines.
    """
    signed = 2 * draws - 1
    half_tangent = 0.1317 * signed[:, 1]  # the tangent of 7.5 degrees
    cosine = (1 - half_tangent**2) / (1 + half_tangent**2)
    sine = 2 * half_tangent / (1 + half_tangent**2)
    shear = 0.3 * signed[:, 2]
    scale = (0.7 + 0.4 * draws[:, 3]) * (_WORK / 58)
    stretch = 1 + 0.2 * signed[:, 4]
    # The inverse of: stretch the axes, shear, rotate, scale.
    a, b = (cosine + shear * sine) / stretch, (sine - shear * cosine) / stretch
    d, e = -sine * stretch, cosine * stretch
    a, b, d, e = (part / scale for part in (a, b, d, e))
    x, y = (_WORK / 2 + 0.08 * _WORK * signed[:, column] for column in (5, 6))
    c, f = _MASTER / 2 - (a * x + b * y), _MASTER / 2 - (d * x + e * y)
    return list(zip(*(part.tolist() for part in (a, b, c, d, e, f)), strict=True))


def _pen(images: UInt8[np.ndarray, "n work work"], draws: Float[np.ndarray, "n draws"]) -> Float[np.ndarray, "n 32 32"]:
    """Varies the width and softness of strokes and the strength of the ink, halves the resolution; in [0, 1]."""
    level, sharpness, strength = (draws[:, column, None, None].astype(np.float32) for column in (7, 8, 9))
    # Cutting a blurred drawing low thickens its strokes, cutting it high thins them; the slope is their softness.
    cut = 0.2 + 0.3 * level
    slope = np.maximum(1.5 + 4 * sharpness, 0.5 / cut)  # so steep that paper stays black
    ink = np.clip(images * (slope / 255) + (0.5 - cut * slope), 0, 1)
    small = (ink[:, ::2, ::2] + ink[:, 1::2, ::2] + ink[:, ::2, 1::2] + ink[:, 1::2, 1::2]) / 4
    return small * (0.6 + 0.4 * strength)


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
        union = np.maximum(shapes, shape).sum((1, 2))
        if (np.abs(shapes - shape).sum((1, 2)) < _SAME * union).any():
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
