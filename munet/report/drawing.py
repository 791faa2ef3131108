"""Colours of tasks, safe for colour-blind readers; the same in every picture of a run."""

from __future__ import annotations

from dataclasses import dataclass

# Okabe and Ito's set without yellow and black (too light, or taken by text), then members of Tol's "muted" set.
TASK_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#882255", "#999933", "#332288", "#A9714B",
)  # fmt: skip
ROOT_COLOUR = "#C9CDD2"
_DASHES = ("", "9 4", "2 3.5")  # when the colours are used up: again, dashed, then dotted


@dataclass(frozen=True)
class Style:
    """How a task looks: a colour, and a dash pattern (SVG `stroke-dasharray`, empty: solid)."""

    colour: str
    dash: str = ""


def task_style(index: int) -> Style:
    """The style of the run's task number `index`, from 0."""
    return Style(TASK_COLOURS[index % len(TASK_COLOURS)], _DASHES[index // len(TASK_COLOURS) % len(_DASHES)])


def text_colour(background: str) -> str:
    """Near-black or white, whichever stands out more from `background` (`#RRGGBB`); WCAG contrast."""
    brightness = _luminance(background)
    against_white = 1.05 / (brightness + 0.05)
    against_dark = (brightness + 0.05) / (_luminance("#1A1D21") + 0.05)
    return "#FFFFFF" if against_white > against_dark else "#1A1D21"


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
