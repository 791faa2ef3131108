"""Real training with what goes beyond the paper: low-rank updates, and scores that count FLOPs and measured latency."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import munet
from munet.config import Config, Experiment
from munet.config.checks import validate
from munet.evolution import costs
from munet.progress import events
from munet.report.verify.verify import remeasure, verify
from munet.run import runs
from munet.training.measure import latency
from munet.training.wave import WaveTrainer
from munet.types import GenerationEntry, Hyperparameters, StartEntry
from munet.vit import architecture
from tests import tiny_run
from tests.interrupted import Stop


class _Stop(Exception):
    """Ends a run from its listener, as a signal would."""


def settings(data: Path) -> Config:
    config = tiny_run.config(data)
    config.experiment.insertions = ("adapter", "lora")
    config.experiment.mutation_probability = 0.6
    config.experiment.flops_factor = 0.9
    config.experiment.latency_factor = 0.8
    config.experiment.search_space.image_size = (32,)
    config.experiment.num_task_iterations = 1
    config.runtime.compare = ("lora",)
    return validate(config)


class Clock:
    """Stands in for the measurement: FLOPs as time, which repeats exactly; counts what it was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(
        self, experiment: Experiment, names: Collection[str], hyperparameters: Hyperparameters, num_classes: int
    ) -> float:
        self.asked[costs.structure(names, hyperparameters, num_classes)] += 1
        return latency.rounded(1e-3 * costs.relative_flops(experiment, names, hyperparameters, num_classes))


@pytest.mark.slow
def test_a_resumed_run_equals_an_undisturbed_one(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(latency, "measure", clock)
    runs.evolve(settings(data), str(tmp_path / "whole"), lambda _: None)
    assert max(clock.asked[key] for key in clock.asked if not key.endswith("c2")) <= 2  # the baseline's run asks anew
    count = 0

    def stop_after_two(event: events.Event) -> None:
        nonlocal count
        count += isinstance(event, events.GenerationEnded)
        if count == 2:
            raise _Stop

    with pytest.raises(_Stop):
        runs.evolve(settings(data), str(tmp_path / "killed"), stop_after_two)
    known = set(munet.open(str(tmp_path / "killed")).run_state.latencies)
    assert known
    rest = Clock()
    monkeypatch.setattr(latency, "measure", rest)
    unchanged = settings(data)
    unchanged.runtime.compare = ()
    runs.evolve(unchanged, str(tmp_path / "killed"), lambda _: None)
    assert not known & set(rest.asked)  # what the journal holds is not measured again
    assert tiny_run.results(tmp_path / "killed") == tiny_run.results(tmp_path / "whole")
    check(tmp_path / "whole", data)


def check(workdir: Path, data: Path) -> None:
    """What the run left is sound, shown, and can be used."""
    for place in (workdir, workdir / "baselines" / "lora"):
        report = verify(str(place), remeasure(cache_dir=str(data / "cache")))
        assert report.is_sound, list(report.lines())
        system = munet.open(str(place))
        entries = list(system.store.journal.entries())
        assert isinstance(entries[0], StartEntry)
        assert entries[0].root.latency == 1e-3
        children = [child for entry in entries if isinstance(entry, GenerationEntry) for child in entry.children]
        assert any(architecture.is_lora(part.name) for child in children for part in child.plan.components)
        assert all(child.latency for child in children)
        images = np.zeros((2, 16, 16, 1), np.uint8)
        for task in system.models:
            assert len(system.predict(task, images)) == 2
    baseline = munet.open(str(workdir / "baselines" / "lora"))
    for task, model in baseline.models.items():
        assert "lora_0" in model.components
        assert baseline.components[model.components["lora_0"]].num_params == 4 * 64 * 8
        assert baseline.graph().layers == ("task", "input", "LoRA 0", "block 0", "head"), task


def test_latencies_are_measured_before_training_begins(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is at work then, no save in the background either."""
    clock = Clock()

    def train(*_: Any) -> Any:
        raise Stop

    monkeypatch.setattr(latency, "measure", clock)
    monkeypatch.setattr(WaveTrainer, "train", train)
    with pytest.raises(Stop):
        runs.evolve(settings(data), str(tmp_path), lambda _: None)
    assert any(not key.endswith("c2") for key in clock.asked)  # a child's, beside the root's


def test_a_measurement_is_a_time_of_this_device(data: Path) -> None:
    experiment = settings(data).experiment
    started = time.perf_counter()
    measured = latency.of_root(experiment)
    assert measured is not None
    assert 0 < measured < time.perf_counter() - started
    assert measured == latency.rounded(measured)
    experiment.latency_factor = 1.0
    assert latency.of_root(experiment) is None
