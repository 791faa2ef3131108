"""A picture of a task: some training images of some of its classes, a row a class, as a PNG contact sheet."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from munet.data.tasks import Task
from munet.report.data.describe import shape_text

MAX_CLASSES = 32
NUM_SAMPLES = 12

_CELL = 44  # pixels on a side of an image
_GAP = 4
_LABEL = 180  # pixels that a class name may take
_LABEL_GAP = 14
_MARGIN = 24
_HEADER = 74
_MIN_WIDTH = 640  # room for the header
_ROWS = 16  # classes in a column of the sheet

_PAPER, _INK, _FAINT, _EMPTY = (255, 255, 255), (28, 32, 38), (110, 118, 129), (243, 244, 246)


def write_contact_sheet(task: Task, path: Path) -> None:
    """Writes the sheet of a task; folders above `path` are made.

    Classes are taken evenly over the label range, images in the order of the train split.

    Args:
      task: what to show; it is decoded.
      path: of the PNG file.

    Raises:
      DataError: the images cannot be decoded.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(task).save(path, format="PNG", optimize=True)


def contact_sheet(task: Task) -> Image.Image:
    """The sheet of a task, as an image."""
    info, train = task.info, task.split("train")
    classes = _spread(info.num_classes, MAX_CLASSES)
    num_columns = -(-len(classes) // _ROWS)
    num_rows = -(-len(classes) // num_columns)
    names = [_fit(info.class_names[label], _font(13), _LABEL) for label in classes]
    label_width = max(round(_font(13).getlength(name)) for name in names) + _LABEL_GAP
    strip = label_width + NUM_SAMPLES * (_CELL + _GAP)
    width = max(2 * _MARGIN + num_columns * strip + (num_columns - 1) * _MARGIN - _GAP, _MIN_WIDTH)
    height = 2 * _MARGIN + _HEADER + num_rows * (_CELL + _GAP) - _GAP
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 4), info.name, fill=_INK, font=_font(24, bold=True))
    facts = (
        f"{info.num_classes:,} classes   {shape_text(task.image_shape)}   train {info.num_train:,}   "
        f"validation {info.num_validation:,}   test {info.num_test:,}"
    )
    draw.text((_MARGIN, _MARGIN + 32), facts, fill=_FAINT, font=_font(13))
    for position, label in enumerate(classes):
        column, row = divmod(position, num_rows)
        left = _MARGIN + column * (strip + _MARGIN)
        top = _MARGIN + _HEADER + row * (_CELL + _GAP)
        draw.text((left, top + _CELL // 2), names[position], fill=_INK, font=_font(13), anchor="lm")
        indices = np.flatnonzero(train.labels == label)[:NUM_SAMPLES]
        for sample in range(NUM_SAMPLES):
            corner = (left + label_width + sample * (_CELL + _GAP), top)
            if sample < len(indices):
                sheet.paste(thumbnail(train.images[indices[sample]]), corner)
            else:
                draw.rectangle((*corner, corner[0] + _CELL - 1, corner[1] + _CELL - 1), fill=_EMPTY)
    return sheet


def _spread(num_classes: int, most: int) -> Int[np.ndarray, " shown"]:
    """At most `most` labels, evenly over all of them."""
    shown = min(num_classes, most)
    return np.arange(shown) * num_classes // shown


def thumbnail(pixels: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    """The image as large as fits a cell, on a faint ground if it is not square."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    scale = _CELL / max(image.size)
    # Few pixels are shown as what they are.
    resample = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    cell = Image.new("RGB", (_CELL, _CELL), _EMPTY)
    cell.paste(image.resize(size, resample), ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2))
    return cell


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, cut with an ellipsis where it is wider than `width` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
