"""The most confident mistakes, most confident first, of a model whose answers are made up."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from munet.report.page import examples, source
from munet.report.page.parts import Pictures, Text
from munet.serving import predictor
from munet.serving.prediction import Prediction
from munet.system import data
from tests.report import fixed_journal

NUM = 300
LABELS = np.arange(NUM) % 3


class Data:
    """A task whose images say their own number."""

    def __init__(self) -> None:
        images = np.zeros((NUM, 8, 8, 3), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(NUM) % 256, np.arange(NUM) // 256
        self._split = SimpleNamespace(labels=LABELS, images=images)

    @contextlib.contextmanager
    def testing(self) -> Iterator[None]:
        yield

    def split(self, name: str) -> Any:
        assert name == "test"
        return self._split

    def release(self) -> None: ...


class Answers:
    """`one` takes every tenth image for the next class, the surer the later; `two` is always right."""

    def __init__(self, system: Any, task: str, components: Any):
        self._task = task

    def predict(self, images: np.ndarray) -> Prediction:
        assert len(images) <= 256
        numbers = images[:, 0, 0, 0].astype(int) + 256 * images[:, 0, 0, 1].astype(int)
        probabilities = np.zeros((len(images), 3))
        for row, number in enumerate(numbers):
            is_wrong = self._task == "one" and number % 10 == 0
            share = 0.5 + number / 1000 if is_wrong else 0.9
            probabilities[row, (LABELS[number] + is_wrong) % 3] = share
        return Prediction(self._task, ("a", "b", "c"), probabilities)


def test_the_most_confident_mistakes_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "Predictor", Answers)
    monkeypatch.setattr(data, "open_again", lambda *_: Data())
    fixed_journal.write(tmp_path)
    one, two = examples.section(source.read(str(tmp_path))).parts
    assert isinstance(one, Pictures)
    assert one.title == "one: 30 of 300 test images wrong"
    assert len(one.pictures) == examples.MOST == 24
    texts = [text for _, text in one.pictures]
    assert texts[0] == "79%: c taken for a"  # image 290
    assert texts[1] == "78%: b taken for c"
    assert texts[-1].startswith("56%")
    with Image.open(io.BytesIO(one.pictures[0][0])) as picture:
        assert picture.size == (44, 44)
    assert two == Text("two: none of 300 test images is wrong.")
