"""The validation curve as a plain SVG: accuracy by task, and the losses, over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from munet.joint.held_out import mean_quality
from munet.joint.workdir import CurvePoint
from munet.report import drawing

_INK, _FAINT, _HAIRLINE = "#1A1D21", "#5B626B", "#E6E8EB"
_FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
_WIDTH, _HEIGHT, _GAP, _MARGIN, _TOP = 380, 240, 70, 50, 56
_MAX_LINES = 10  # tasks with a line of their own; more have only their mean


@dataclass(frozen=True)
class _Line:
    """One line of a panel: its name, values at each point, and looks."""

    name: str
    values: tuple[float, ...]
    style: drawing.Style
    width: float = 1.6


def to_svg(points: Sequence[CurvePoint], num_steps: int, title: str) -> str:
    """The picture of a curve with at least one point."""
    names = list(points[0].validation)
    lines = [
        _Line(name, tuple(point.validation[name].value for point in points), drawing.task_style(index))
        for index, name in enumerate(names if len(names) <= _MAX_LINES else ())
    ]
    if len(names) > 1:
        means = tuple(mean_quality(point.validation) for point in points)
        lines.append(_Line(f"mean of {len(names)} tasks", means, drawing.Style(_INK), 2.6))
    losses = [
        _Line("training", tuple(point.training_loss for point in points), drawing.task_style(0)),
        _Line("validation", tuple(point.validation_loss for point in points), drawing.task_style(1)),
    ]
    steps = [point.step for point in points]
    top = max(max(line.values) for line in losses)
    legend = 20 * max(len(lines), len(losses))
    width, height = 2 * (_WIDTH + _MARGIN) + _GAP, _TOP + _HEIGHT + 48 + legend
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="{_FONT}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#FFFFFF"/>',
        _text(_MARGIN, 24, title, size=15, weight="600"),
        *_panel(_MARGIN, "validation accuracy, %", lines, steps, num_steps, 1.0, 100),
        *_panel(_MARGIN + _WIDTH + _GAP, "loss, nats", losses, steps, num_steps, top, 1),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(
    left: float, name: str, lines: Sequence[_Line], steps: Sequence[int], num_steps: int, top: float, unit: float
) -> list[str]:
    """Axes, lines and legend of one panel.

    Args:
      left: pixels to its left edge.
      name: of what is shown, with its unit.
      lines: what is shown.
      steps: where the values are.
      num_steps: at the right edge.
      top: the value at the upper edge; 0 is at the lower.
      unit: what values are multiplied by for the axis.
    """

    def x(step: float) -> float:
        return left + _WIDTH * step / num_steps

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (1 - min(max(value / top, 0), 1)) if top > 0 else _TOP + _HEIGHT

    parts = [_text(left, _TOP - 10, name, fill=_FAINT)]
    for tick in range(5):
        value = top * tick / 4
        parts.append(
            f'<line x1="{left}" y1="{y(value):.1f}" x2="{left + _WIDTH}" y2="{y(value):.1f}" stroke="{_HAIRLINE}"/>'
        )
        parts.append(_text(left - 6, y(value) + 4, f"{value * unit:.3g}", fill=_FAINT, anchor="end"))
    for tick in range(3):
        step = round(num_steps * tick / 2)
        parts.append(_text(x(step), _TOP + _HEIGHT + 18, f"{step:,}", fill=_FAINT, anchor="middle"))
    parts.append(_text(left + _WIDTH, _TOP + _HEIGHT + 34, "steps", fill=_FAINT, anchor="end"))
    for index, line in enumerate(lines):
        path = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in zip(steps, line.values, strict=True))
        dash = f' stroke-dasharray="{line.style.dash}"' if line.style.dash else ""
        look = f'stroke="{line.style.colour}" stroke-width="{line.width}"{dash}'
        height = _TOP + _HEIGHT + 52 + 20 * index
        parts += [
            f'<polyline points="{path}" fill="none" {look} stroke-linejoin="round"/>',
            f'<circle cx="{x(steps[-1]):.1f}" cy="{y(line.values[-1]):.1f}" r="2.5" fill="{line.style.colour}"/>',
            f'<line x1="{left}" y1="{height - 4}" x2="{left + 22}" y2="{height - 4}" {look}/>',
            _text(left + 30, height, f"{line.name}: {line.values[-1] * unit:.3g}"),
        ]
    return parts


def _text(
    x: float, y: float, text: str, *, size: int = 12, fill: str = _INK, anchor: str = "start", weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )
