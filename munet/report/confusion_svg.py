"""A confusion matrix as a plain SVG: rows are the classes, columns what they were taken for, shares as shades."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from munet.errors import UserError
from munet.report.classes import SplitCounts, recorded_test
from munet.system.view import RunView
from munet.types import TaskName

MAX_CLASSES = 40  # more are no longer readable: then those that are confused most
_RIGHT, _WRONG, _INK, _FAINT, _PAPER = "#0072B2", "#D55E00", "#1A1D21", "#5B626B", "#F4F5F6"
_FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
_MARGIN, _TITLE, _MAX_NAME = 24, 64, 18


def write(system: RunView, task: TaskName, path: str) -> None:
    """Writes the matrix of a task's test split.

    Raises:
      UserError: no such task, nothing recorded, another ending than .svg, or the file cannot be written.
    """
    if Path(path).suffix.lower() != ".svg":
        raise UserError(f"--confusion={path}: the matrix is drawn as SVG; give a name that ends in .svg.")
    text = to_svg(task, system.task(task).class_names, recorded_test(system, task))
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"--confusion={path} cannot be written: {error.strerror}. Give a file in a folder that exists."
        ) from error


def to_svg(task: TaskName, class_names: tuple[str, ...], counts: SplitCounts) -> str:
    """The picture; each cell has a tooltip."""
    shown = _shown(counts)
    side = max(14, min(34, 640 // max(len(shown), 1)))
    names = [_short(class_names[label]) for label in shown]
    left = _MARGIN + 12 + 7 * max(map(len, names), default=0)
    top = _MARGIN + _TITLE + 7 * max(map(len, names), default=0)
    size = side * len(shown)
    width, height = max(left + size, 690) + _MARGIN, top + size + _MARGIN
    which = f"{len(shown)} classes" if len(shown) == len(class_names) else _chosen(len(shown), len(class_names))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{_FONT}" fill="{_INK}"><rect width="100%" height="100%" fill="#FFFFFF"/>',
        f'<text x="{_MARGIN}" y="{_MARGIN + 14}" font-size="17" font-weight="600">{escape(task)}: what is taken for '
        "what</text>",
        f'<text x="{_MARGIN}" y="{_MARGIN + 34}" font-size="12" fill="{_FAINT}">Test split, {which}. Rows: the class; '
        "columns: the answer. Shade: share of the row's images.</text>",
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="{_PAPER}"/>',
    ]
    upright = all(len(name) <= 2 for name in names)  # 0, 1, 2 need no turning
    for place, name in enumerate(names):
        middle = place * side + side / 2
        turn = (
            f'x="{left + middle:.1f}" y="{top - 6}" text-anchor="middle"'
            if upright
            else f'transform="translate({left + middle + 4:.1f} {top - 6}) rotate(-90)"'
        )
        parts.append(
            f'<text x="{left - 6}" y="{top + middle + 4:.1f}" font-size="11" text-anchor="end">{escape(name)}</text>'
            f'<text {turn} font-size="11">{escape(name)}</text>'
        )
    column = {label: place for place, label in enumerate(shown)}
    cells = [(label, label, counts.correct[label]) for label in shown]
    cells += [(a, b, images) for a, b, images in counts.confusions or () if a in column and b in column]
    for label, predicted, images in cells:
        if images:
            parts.append(_cell(class_names, counts, label, predicted, images, left, top, side, column))
    return "\n".join([*parts, "</svg>", ""])


def _cell(
    class_names: tuple[str, ...], counts: SplitCounts, label: int, predicted: int, images: int,
    left: int, top: int, side: int, column: dict[int, int],
) -> str:  # fmt: skip
    share = images / counts.counted[label]
    x, y = left + column[predicted] * side, top + column[label] * side
    colour = _RIGHT if label == predicted else _WRONG
    what = f"{class_names[label]} taken for {class_names[predicted]}: {images:,} of {counts.counted[label]:,}"
    number = ""
    if side >= 22:
        ink = "#FFFFFF" if share > 0.5 else _INK
        number = (
            f'<text x="{x + side / 2:.1f}" y="{y + side / 2 + 4:.1f}" font-size="10" text-anchor="middle" '
            f'fill="{ink}">{images}</text>'
        )
    return (
        f'<g class="cell"><title>{escape(what)}</title><rect x="{x}" y="{y}" width="{side - 1}" height="{side - 1}" '
        f'fill="{colour}" fill-opacity="{0.15 + 0.85 * share:.2f}"/>{number}</g>'
    )


def _shown(counts: SplitCounts) -> list[int]:
    """All classes, or, of too many, those with most confused images in row and column, in their order."""
    if len(counts.counted) <= MAX_CLASSES:
        return list(range(len(counts.counted)))
    wrong = [0] * len(counts.counted)
    for label, predicted, images in counts.confusions or ():
        wrong[label] += images
        wrong[predicted] += images
    return sorted(sorted(range(len(wrong)), key=lambda label: (-wrong[label], label))[:MAX_CLASSES])


def _chosen(shown: int, every: int) -> str:
    return f"the {shown} of {every:,} classes that are confused most"


def _short(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…"
