"""The picture of the validation curve is well-formed and shows what the points say; measuring is right."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import jax
import numpy as np
import pytest

from munet.config.pretrain import Recipe
from munet.data.splits import Split
from munet.joint.held_out import predict
from munet.joint.program import Programs
from munet.joint.records import CurvePoint
from munet.methods.pretraining import recipe
from munet.methods.pretraining.learner import Pretrained, Pretraining
from munet.report.curve import to_svg
from munet.training.batches.stream import Resize
from munet.training.program.sharding import AXES
from munet.types import Quality
from munet.vit import forward
from munet.vit.architecture import get_variant
from tests.report.drawn_texts import faults, texts_of


def points(num_tasks: int, count: int = 3) -> list[CurvePoint]:
    return [
        CurvePoint(
            step=10 * (index + 1),
            epoch=0.5 * index,
            learning_rate=0.1,
            training_loss=2.0 - index / 2,
            validation_loss=1.0,
            validation={f"task <{task}>": Quality(index, 10) for task in range(num_tasks)},
            seconds=1.0,
        )
        for index in range(count)
    ]


def test_losses_are_in_nats_where_every_task_has_classes() -> None:
    classified = points(2)
    own = dict.fromkeys(classified[0].validation, 1.0)
    for losses, what in (
        ({}, "loss (nats)"),  # curves of older versions
        (own, "loss (nats)"),
        ({**own, "height": 3.0}, "loss (mean of the tasks' own)"),
    ):
        svg = to_svg([replace(point, validation_losses=losses) for point in classified], 40, "a")
        assert [text.text for text in texts_of(svg.encode()) if "loss (" in text.text] == [what]
    values = [replace(point, validation={}, validation_losses={"height": 3.0}) for point in classified]
    assert "loss (" not in to_svg(values, 40, "a")


@pytest.mark.parametrize(("num_tasks", "num_lines"), [(1, 1), (3, 4), (10, 11), (12, 1)])
def test_the_picture_has_a_line_a_task_and_their_mean(num_tasks: int, num_lines: int) -> None:
    svg = to_svg(points(num_tasks), 40, "a & b")
    tree = ElementTree.fromstring(svg)
    lines = tree.findall(".//*[@aria-roledescription='line mark']")
    assert len(lines) == num_lines + 2  # two losses too
    assert all(str(line.get("d")).count("L") == 2 for line in lines)  # through three points
    assert faults(svg.encode()) == []
    assert to_svg(points(num_tasks), 40, "a & b") == svg
    assert ElementTree.fromstring(to_svg(points(num_tasks, 1), 1, "one point")) is not None


def test_the_legend_says_where_each_line_ends() -> None:
    written = {text.text for text in texts_of(to_svg(points(2), 40, "$one$ curve").encode())}
    assert {"$one$ curve", "task <0>: 20%", "mean of 2 tasks: 20%", "training: 1", "validation: 1"} <= written


def test_losses_that_are_not_finite_leave_a_gap() -> None:
    found = [replace(points(1)[0], training_loss=math.nan, validation_loss=math.inf), *points(1)[1:]]
    assert "Infinity" not in to_svg(found, 40, "diverged")
    assert faults(to_svg(found[:1], 40, "diverged at once").encode()) == []


def test_measuring_counts_every_image_once() -> None:
    settings = Recipe(variant="demo/16", num_blocks=1, image_size=16)
    params = recipe.initial_params(settings, 3, 0)
    generator = np.random.default_rng(0)
    params["head"]["kernel"] = jax.numpy.asarray(generator.normal(size=(64, 3)), np.float32)
    split = Split(generator.integers(0, 256, (300, 16, 16, 3), dtype=np.uint8), (np.arange(300) % 3).astype(np.int32))
    logits = np.asarray(
        forward.logits(
            get_variant("demo/16"), params, jax.numpy.asarray(split.decoded / 127.5 - 1, np.float32), num_blocks=1
        )
    )
    mesh = jax.make_mesh((1, 1, 1), AXES, devices=jax.devices()[:1])
    programs = Programs(Pretraining(settings, ("task",), 3, 1), 1, mesh)
    (found,) = predict(programs, Pretrained(params, ()), "task", split, Resize(16, antialias=False))
    measured = found.of(split.labels)
    assert measured.quality == Quality(int((logits.argmax(1) == split.labels).sum()), 300)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(probabilities[np.arange(300), split.labels]).mean()
    assert measured.loss == pytest.approx(expected, rel=1e-4)
