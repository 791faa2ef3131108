"""Frames show what the history says, boxes keep their places, and every picture is well-formed and of one size."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from munet.report.drawing import HAIRLINE
from munet.report.graph import page
from munet.report.graph.frames import Frames
from tests.report.drawn_texts import faults, texts_of
from tests.report.graph.test_page import HOSTILE, simulated

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> set[tuple[str, ...]]:
    """Places of boxes."""
    rects = [rect.attrib for rect in ElementTree.fromstring(svg).iter(f"{SVG}rect")]
    return {(rect["x"], rect["y"], rect["width"]) for rect in rects if rect.get("height") == "38"}


def test_every_frame_shows_its_models() -> None:
    tasks, folded = simulated(3, num_task_iterations=2, mutation_probability=0.5)
    frames = Frames(page.to_data(tasks, folded))
    assert len(frames) == len(folded.frames)
    every: set[tuple[str, ...]] = set()
    sizes = set()
    for step, (frame, models) in enumerate(zip(folded.frames, folded.systems(), strict=True)):
        svg = frames.svg(step)
        texts = [text.text for text in texts_of(svg.encode())]
        heads = sorted(text for text in texts if text.startswith("val "))
        assert heads == sorted(f"val {model.quality.value:.1%}" for model in models.values() if model.quality)
        tested = sorted(text for text in texts if text.startswith("test ") and "%" in text)
        assert tested == sorted(f"test {m.test_quality.value:.1%}" for m in models.values() if m.test_quality)
        assert f"{step + 1} of {len(frames)}" in texts
        assert f"{frame.num_params:,} parameters" in texts
        assert svg.count(f'stroke="{HAIRLINE}" stroke-width="2"') == len(tasks) - len(models)  # waiting tasks
        every |= boxes(svg)
        sizes.add(re.findall(r'width="(\d+)" height="(\d+)"', svg)[0])
    assert len(sizes) == 1
    assert every == {box for step in range(len(frames)) for box in boxes(frames.svg(step))}
    last = boxes(frames.svg(len(frames) - 1))
    assert len(last) > 3 * len(tasks)


def test_boxes_of_a_task_do_not_move() -> None:
    tasks, folded = simulated(2)
    frames = Frames(page.to_data(tasks, folded))
    assert boxes(frames.svg(0)) <= boxes(frames.svg(len(frames) - 1))


@pytest.mark.parametrize("count", [len(HOSTILE), 20])
def test_hostile_names_and_folded_tasks(count: int) -> None:
    tasks, folded = simulated(count, HOSTILE if count == len(HOSTILE) else ())
    frames = Frames(page.to_data(tasks, folded))
    svg = frames.svg(len(frames) - 1)
    ElementTree.fromstring(svg)
    assert svg.replace("\n", "").isprintable()
    assert faults(svg.encode()) == []
