"""Colours of tasks, safe for colour-blind readers, the same in every picture of a run; parts of plain SVGs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from munet.text import printable

# Okabe and Ito's set without yellow and black (too light, or taken by text), then members of Tol's "muted" set.
TASK_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288", "#A9714B",
)  # fmt: skip
ROOT_COLOUR = "#C9CDD2"
FORGOTTEN_COLOUR = "#565D66"  # of what a task trained last that the run has no more
INK, FAINT, HAIRLINE, PAPER = "#1A1D21", "#5B626B", "#E6E8EB", "#F4F5F6"  # text, quiet text, lines, empty fields
_DASHES = ("", "9 4", "2 3.5")  # when the colours are used up: again, dashed, then dotted
_FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"


@dataclass(frozen=True)
class Style:
    """How a task looks: a colour, and a dash pattern (SVG `stroke-dasharray`, empty: solid)."""

    colour: str
    dash: str = ""


def task_style(index: int) -> Style:
    """The style of the run's task number `index`, from 0."""
    return Style(TASK_COLOURS[index % len(TASK_COLOURS)], _DASHES[index // len(TASK_COLOURS) % len(_DASHES)])


def owner_style(task: str | None, numbers: Mapping[str, int]) -> Style:
    """How a component looks: as the task that trained it last.

    Args:
      task: that one; None: the root's. One without a number is a task that the run has forgotten.
      numbers: of the tasks.
    """
    if task is None:
        return Style(ROOT_COLOUR)
    return task_style(numbers[task]) if task in numbers else Style(FORGOTTEN_COLOUR)


def text_colour(background: str) -> str:
    """Near-black or white, whichever stands out more from `background` (`#RRGGBB`); WCAG contrast."""
    brightness = _luminance(background)
    against_white = 1.05 / (brightness + 0.05)
    against_dark = (brightness + 0.05) / (_luminance(INK) + 0.05)
    return "#FFFFFF" if against_white > against_dark else INK


def on_dark(colour: str) -> str:
    """The colour as it stands out from a dark page: as it is, or lighter."""
    while _luminance(colour) < 0.2:
        colour = "#" + "".join(f"{round(value + (255 - value) * 0.12):02X}" for value in _channels(colour))
    return colour


def short(name: str, most: int = 18) -> str:
    """A name as pictures show it: printable, and cut where it has more than `most` letters."""
    shown = printable(name)
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"


def xml_text(text: str) -> str:
    """A text as the content of an element: of others' making as well, XML allows it."""
    return escape(printable(text))


def xml_attribute(text: str) -> str:
    """A text as the value of an attribute, quotes included."""
    return quoteattr(printable(text))


def head(width: float, height: float, title: str) -> list[str]:
    """The first elements of an SVG of that many pixels: itself (to be closed), its title, and white paper."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-family="{_FONT}">',
        f"<title>{xml_text(title)}</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#FFFFFF"/>',
    ]


def label(
    x: float, y: float, text: str, *, size: float, fill: str = INK, anchor: str = "start", weight: str = "400"
) -> str:
    """A line of text as an SVG element.

    Args:
      x, y: of the anchor, on the base line, in pixels.
      text: the line, not escaped.
      size: of the font, in pixels.
      fill: its colour.
      anchor: which part of the text `x` is of: `start`, `middle` or `end`.
      weight: of the font, as in CSS.
    """
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}">{xml_text(text)}</text>'
    )


def rising_curve(x: float, y: float, to_x: float, to_y: float) -> str:
    """A step of an SVG path from one point to another that leaves and arrives upright."""
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def text_width(text: str, size: float) -> float:
    """Width of `text`, generously: the viewer's font is unknown, and DejaVu Sans is the widest of the usual ones."""
    return size * sum(0.45 if letter in "iljtfr .,:;|'()/" else 0.82 if letter in "mwMW%" else 0.64 for letter in text)


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _luminance(colour: str) -> float:
    channels = [value / 255 for value in _channels(colour)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
