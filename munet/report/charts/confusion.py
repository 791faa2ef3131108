"""A confusion matrix: rows are the classes, columns what they were taken for, shares as shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from munet.report.charts import chart
from munet.report.classes import SplitCounts
from munet.report.drawing import INK, TASK_COLOURS

MAX_CLASSES = 40  # more are no longer readable: then those that are confused most
_RIGHT, _WRONG = TASK_COLOURS[0], TASK_COLOURS[3]
_ROOM, _LARGEST, _SMALLEST = 640, 36, 14
_NUMBERS_FROM = 22  # pixels of a cell that has room for a number
_KINDS = ("right", "taken for another")


def spec(class_names: Sequence[str], counts: SplitCounts) -> dict[str, Any]:
    """The specification of one task's matrix; a cell without an image is empty."""
    shown = shown_classes(counts)
    names = chart.labels(class_names[label] for label in shown)
    cell = max(_SMALLEST, min(_LARGEST, _ROOM // max(len(shown), 1)))
    values = [
        {
            "class": names[class_names[row["label"]]],
            "answer": names[class_names[row["answer"]]],
            "images": row["images"],
            "share": row["share"],
            "of": row["of"],
            "what": _KINDS[row["label"] != row["answer"]],
        }
        for row in _cells(shown, counts)
    ]
    order = list(names.values())
    upright = all(len(name) <= 2 for name in order)  # 0, 1, 2 need no turning
    both = {"type": "nominal", "sort": None, "scale": {"domain": order, "padding": 0.03}}
    axis = {
        "grid": False,
        "labelOverlap": False,
        "domain": False,
        "ticks": False,
        "labelFontSize": 11 if cell > 16 else 10,
    }
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rect"},
            "encoding": {
                "color": {
                    "field": "what",
                    "type": "nominal",
                    "scale": {"domain": list(_KINDS), "range": [_RIGHT, _WRONG]},
                    "legend": {
                        "symbolType": "square",
                        "symbolOpacity": 1,
                        "columns": 1 if len(order) * cell < 260 else 2,
                    },
                },
                "opacity": {
                    "field": "share",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [0.15, 1]},
                    "legend": None,
                },
                "tooltip": [
                    {"field": "class", "title": "class"},
                    {"field": "answer", "title": "taken for"},
                    {"field": "images", "type": "quantitative", "title": "images", "format": ","},
                    {"field": "of", "type": "quantitative", "title": "of", "format": ","},
                ],
            },
        }
    ]
    if cell >= _NUMBERS_FROM:
        layers.append(
            {
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {
                    "text": {"field": "images", "type": "quantitative"},
                    "color": {"condition": {"test": "datum.share > 0.5", "value": "#FFFFFF"}, "value": INK},
                },
            }
        )
    return {
        "width": {"step": cell},
        "height": {"step": cell},
        "data": {"values": values},
        "encoding": {
            "x": {
                **both,
                "field": "answer",
                "axis": {**axis, "title": "the answer", "orient": "top", "labelAngle": 0 if upright else -90},
            },
            "y": {**both, "field": "class", "axis": {**axis, "title": "the class"}},
        },
        "layer": layers,
    }


def rows(class_names: Sequence[str], counts: SplitCounts) -> list[Mapping[str, Any]]:
    """The numbers of all classes, those that are not shown too."""
    return [
        {
            "class": class_names[cell["label"]],
            "answer": class_names[cell["answer"]],
            "images": cell["images"],
            "of": cell["of"],
        }
        for cell in _cells(range(len(counts.counted)), counts)
    ]


def caption(num_classes: int, counts: SplitCounts) -> str:
    """What is to be seen."""
    shown = len(shown_classes(counts))
    which = (
        f"{shown} classes" if shown == num_classes else f"the {shown} of {num_classes:,} classes that are confused most"
    )
    return f"Test split, {which}. Shade: share of the row's images."


def shown_classes(counts: SplitCounts) -> list[int]:
    """All classes, or, of too many, those with most confused images in row and column, in their order."""
    if len(counts.counted) <= MAX_CLASSES:
        return list(range(len(counts.counted)))
    wrong = [0] * len(counts.counted)
    for label, predicted, images in counts.confusions or ():
        wrong[label] += images
        wrong[predicted] += images
    return sorted(sorted(range(len(wrong)), key=lambda label: (-wrong[label], label))[:MAX_CLASSES])


def _cells(shown: Sequence[int], counts: SplitCounts) -> list[dict[str, Any]]:
    there = set(shown)
    found = [(label, label, counts.correct[label]) for label in shown]
    found += [(one, other, images) for one, other, images in counts.confusions or () if {one, other} <= there]
    return [
        {
            "label": one,
            "answer": other,
            "images": images,
            "of": counts.counted[one],
            "share": images / counts.counted[one],
        }
        for one, other, images in found
        if images
    ]
