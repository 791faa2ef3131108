"""Where a figure's texts are drawn, for tests: none may overlap another or leave the canvas."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import matplotlib
from PIL import ImageFont

SVG = "{http://www.w3.org/2000/svg}"
Point = tuple[float, float]
Matrix = tuple[float, float, float, float, float, float]
_FONTS: dict[tuple[float, bool], ImageFont.FreeTypeFont] = {}


class Drawn:
    """A text with its four corners."""

    def __init__(self, text: str, corners: list[Point]):
        self.text, self.corners = text, corners
        self.left, self.right = min(x for x, _ in corners), max(x for x, _ in corners)
        self.top, self.bottom = min(y for _, y in corners), max(y for _, y in corners)

    def __repr__(self) -> str:
        return f"{self.text!r} at {self.left:.0f}-{self.right:.0f}, {self.top:.0f}-{self.bottom:.0f}"


def faults(svg: bytes) -> list[str]:
    """What is wrong with a figure's texts; nothing, if all is well."""
    root = ElementTree.fromstring(svg)
    width, height = (float(root.attrib[name].removesuffix("px")) for name in ("width", "height"))
    texts = list(texts_of(svg))
    found = [
        f"{text} leaves the canvas of {width:.0f} x {height:.0f}"
        for text in texts
        if text.left < -1 or text.top < -1 or text.right > width + 1 or text.bottom > height + 1
    ]
    return found + [
        f"{one} overlaps {other}" for one, other in itertools.combinations(texts, 2) if _overlap(one, other)
    ]


def texts_of(svg: bytes) -> Iterator[Drawn]:
    """All texts that are seen, with where they are."""
    yield from _walk(ElementTree.fromstring(svg), (1, 0, 0, 1, 0, 0))


def _walk(element: ElementTree.Element, outer: Matrix) -> Iterator[Drawn]:
    if element.attrib.get("display") == "none" or element.attrib.get("opacity") == "0":
        return
    matrix = _times(outer, _matrix(element.attrib.get("transform", "")))
    if element.tag == f"{SVG}text":
        size = float(element.attrib.get("font-size", "11").removesuffix("px"))
        font = _font(size, element.attrib.get("font-weight") in ("bold", "600"))
        start, down = {"middle": -0.5, "end": -1.0}.get(element.attrib.get("text-anchor", "start"), 0.0), 0.0
        at_x, at_y = float(element.attrib.get("x", 0)), float(element.attrib.get("y", 0))
        for line in list(element) or [element]:  # several lines are pieces of one element
            down += float(line.attrib.get("dy", 0))
            if text := (line.text or "").strip():
                width = font.getlength(text)
                box = [
                    (at_x + x + start * width, at_y + y + down) for x in (0, width) for y in (-0.72 * size, 0.12 * size)
                ]
                yield Drawn(text, [_apply(matrix, corner) for corner in box])
    for child in element:
        yield from _walk(child, matrix)


def _overlap(one: Drawn, other: Drawn) -> bool:
    """By the axes of both boxes, which may be turned."""
    for corners in (one.corners, other.corners):
        for edge in ((0, 2), (0, 1)):
            dx, dy = corners[edge[1]][0] - corners[edge[0]][0], corners[edge[1]][1] - corners[edge[0]][1]
            own = [x * dx + y * dy for x, y in one.corners]
            others = [x * dx + y * dy for x, y in other.corners]
            slack = 0.5 * math.hypot(dx, dy)
            if max(own) <= min(others) + slack or max(others) <= min(own) + slack:
                return False
    return True


def _matrix(text: str) -> Matrix:
    matrix: Matrix = (1, 0, 0, 1, 0, 0)
    for name, inside in re.findall(r"(\w+)\(([^)]*)\)", text):
        values = [float(value) for value in re.split(r"[ ,]+", inside.strip())]
        if name == "translate":
            step: Matrix = (1, 0, 0, 1, values[0], values[1] if len(values) > 1 else 0)
        elif name == "rotate":
            angle = math.radians(values[0])
            step = (math.cos(angle), math.sin(angle), -math.sin(angle), math.cos(angle), 0, 0)
        else:
            assert name == "scale", text
            step = (values[0], 0, 0, values[-1], 0, 0)
        matrix = _times(matrix, step)
    return matrix


def _times(a: Matrix, b: Matrix) -> Matrix:
    return (
        a[0] * b[0] + a[2] * b[1], a[1] * b[0] + a[3] * b[1], a[0] * b[2] + a[2] * b[3], a[1] * b[2] + a[3] * b[3],
        a[0] * b[4] + a[2] * b[5] + a[4], a[1] * b[4] + a[3] * b[5] + a[5],
    )  # fmt: skip


def _apply(matrix: Matrix, point: Point) -> Point:
    x, y = point
    return matrix[0] * x + matrix[2] * y + matrix[4], matrix[1] * x + matrix[3] * y + matrix[5]


def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """As wide as Liberation Sans, which draws them; DejaVu Sans is here for sure, and wider."""
    if (size, bold) not in _FONTS:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
        _FONTS[size, bold] = ImageFont.truetype(
            str(path), size * (0.83 if bold else 0.9), layout_engine=ImageFont.Layout.BASIC
        )
    return _FONTS[size, bold]
