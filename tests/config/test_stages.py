"""Stages as a config writes them: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from munet.config import Config, Experiment
from munet.config.checks import validate
from munet.config.stages import NAMED, Stage, parse, problems
from munet.errors import ConfigError


def test_stages_are_read_and_written_alike() -> None:
    assert parse(("explore:8", "train:1x20")) == (Stage("explore", 8), Stage("train", 1, 20))
    assert parse(("race",)) == parse(NAMED["race"]) == (Stage("explore", 8), Stage("narrow", 4), Stage("train", 1))
    for text in ("evolve:8x5", "narrow:2"):
        assert str(parse((text,))[0]) == text


@pytest.mark.parametrize(
    ("stages", "images", "says"),
    [
        (("explor:8",), 9, "there is no kind 'explor' of stage. Did you mean \"explore\"?"),
        (
            ("explore",),
            9,
            "such as explore:8 or train:1x20, or a name. Names: compress, race.",
        ),
        (("race", "compres"), 9, 'or a name. Did you mean "compress"?'),
        (("explore:0",), 9, "expected one child or more"),
        (("explore:8x0",), 9, "expected one child or more, and one cycle or more where cycles are given."),
        (("replicas:8",), 9, "there is no kind 'replicas' of stage"),
        (("train:1",), 9, "begins with train:1, which goes on from models of the phase: put explore:8"),
        (("race",), 0, "explore:8, narrow:4, train:1 names no cycles, and experiment.images_per_task says no budget"),
        ((), 9, "is what stages share, but experiment.stages names none: give --config.stages=race"),
    ],
)
def test_what_means_nothing_is_said(stages: tuple[str, ...], images: int, says: str) -> None:
    experiment = Experiment(tasks=("builtin:digits",), stages=stages, images_per_task=images)
    with pytest.raises(ConfigError) as refused:
        validate(Config(experiment))
    assert says.replace('"', "'") in str(refused.value).replace('"', "'")


def test_all_wrong_stages_are_named_at_once() -> None:
    assert len(list(problems(("a:1", "explore:8x1", "b"), 9))) == 2


def test_stages_with_cycles_need_no_budget() -> None:
    assert not list(problems(("explore:8x1", "train:1x20"), 0))
    assert not list(problems((), 0))
