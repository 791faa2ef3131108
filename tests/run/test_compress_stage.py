"""Phases that end with a `compress` stage: smaller models, the same however often interrupted, and sound afterwards."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from munet.config import Config
from munet.config.checks import validate
from munet.errors import ConfigError
from munet.progress import events
from munet.progress.tracker import Tracker
from munet.report.facts.lineages import families
from munet.report.verify.verify import remeasure, verify
from munet.run import runs
from munet.store import Store
from munet.types import ComponentRecord, GenerationEntry, PhaseEntry
from tests import tiny_run
from tests.interrupted import Stop, until


def race(data: Path, *more: str, tolerance: float = 4) -> Config:
    """The tiny run as a race, two iterations, so that compressed models are parents, too."""
    config = tiny_run.config(data)
    experiment = config.experiment
    experiment.stages = ("explore:2x2", "train:1x6", *more)
    experiment.defaults.image_size, experiment.search_space.image_size = 16, (16,)
    experiment.defaults.learning_rate, experiment.search_space.learning_rate = 0.1, (0.1,)
    experiment.defaults.flip, experiment.search_space.flip = False, (False,)
    experiment.defaults.crop_area_min, experiment.search_space.crop_area_min = 1.0, (1.0,)
    experiment.compression_tolerance = tolerance
    return validate(config)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compress") / "data"
    tiny_run.write_data(folder)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[events.Event]]:
    told: list[events.Event] = []
    workdir = tmp_path_factory.mktemp("finished") / "run"
    runs.evolve(race(data, "compress"), str(workdir), told.append)
    return workdir, told


def compressing(workdir: Path) -> list[GenerationEntry]:
    """The generations of the `compress` stages."""
    entries = Store.open(workdir).journal.entries()
    return [entry for entry in entries if isinstance(entry, GenerationEntry) and entry.position.generation == 2]


def test_a_phase_retains_the_compressed_model(finished: tuple[Path, list[events.Event]]) -> None:
    ends = {
        (entry.position.task_iteration, entry.task): entry
        for entry in Store.open(finished[0]).journal.entries()
        if isinstance(entry, PhaseEntry)
    }
    kept = [entry for entry in compressing(finished[0]) if entry.children[0].verdict.is_kept]
    assert len(kept) >= 2  # in the first phases something was cloned
    for entry in kept:
        (child,) = entry.children
        before, after = child.training.qualities
        assert after.ratio >= before.ratio - Fraction(4, 100)
        assert child.cost.image_steps == 0
        end = ends[entry.position.task_iteration, entry.task]
        assert end.retained == child.plan.id
        validated = sum(end.validation_correct_per_class), sum(end.validation_counted_per_class)
        assert validated == (after.correct, after.counted)  # as it was measured when it was chosen
    stored = [record for entry in kept for record in entry.published.values()]
    assert stored
    assert {record.origin for record in stored} == {"low_rank"}


def test_displays_count_what_was_trained(finished: tuple[Path, list[events.Event]]) -> None:
    tracker = Tracker()
    for event in finished[1]:
        tracker(event)
    assert tracker.fraction == 1


def test_a_lineage_has_the_cycles_that_were_trained(finished: tuple[Path, list[events.Event]]) -> None:
    found = families(Store.open(finished[0]).journal.entries())
    for task, lineage in found.lineages().items():
        chain = [child for child in found.ancestry(task) if child.plan.task == task and child.plan.trains]
        assert chain
        assert lineage.qualities[lineage.best] == max(q.value for q in chain[-1].training.qualities)
        assert lineage.test == found.last[task].test_quality.value


def test_it_makes_models_smaller(finished: tuple[Path, list[events.Event]]) -> None:
    records: dict[str, ComponentRecord] = {}
    for entry in Store.open(finished[0]).journal.entries():
        records.update(getattr(entry, "published", {}))
    for entry in compressing(finished[0]):
        (child,) = entry.children
        if not child.verdict.is_kept:
            continue
        changed = 0
        for part in child.plan.components:
            whole, stored = records[part.source or ""], records[child.components[part.name]]
            assert stored.layer_leaves == whole.layer_leaves
            if stored is not whole:
                changed += 1
                assert stored.num_params < whole.num_params or stored.origin != "low_rank"  # else: it is its base
        assert changed


def test_it_is_sound(finished: tuple[Path, list[events.Event]]) -> None:
    """Verdicts follow from the recorded qualities, and tests of what is stored in low rank repeat to the image."""
    report = verify(str(finished[0]), remeasure(cache_dir="off"))
    assert report.is_sound, report


def test_an_interrupted_one_ends_as_an_undisturbed_one(
    finished: tuple[Path, list[events.Event]], data: Path, tmp_path: Path
) -> None:
    for kind in (events.GenerationEnded, events.PhaseEnded):
        with pytest.raises(Stop):
            runs.evolve(race(data, "compress"), str(tmp_path / "run"), until(kind))
    runs.evolve(race(data, "compress"), str(tmp_path / "run"), lambda _: None)
    assert tiny_run.results(tmp_path / "run") == tiny_run.results(finished[0])


def test_where_no_layer_can_be_spared_the_model_stays(data: Path, tmp_path: Path) -> None:
    settings = race(data, "compress", tolerance=0)
    settings.experiment.num_task_iterations = 1
    settings.experiment.clone_probability = 0  # a head alone: it has no base
    settings.experiment.fidelity.encoder_norm = "chance"
    runs.evolve(settings, str(tmp_path / "run"), lambda _: None)
    for entry in compressing(tmp_path / "run"):
        assert not entry.children[0].verdict.is_kept
        assert "no layer can be stored in fewer parameters" in entry.children[0].verdict.reason
    assert verify(str(tmp_path / "run")).is_sound


def test_what_a_dry_run_says_of_it(data: Path, tmp_path: Path) -> None:
    told: list[events.Event] = []
    runs.evolve(race(data, "compress"), str(tmp_path / "run"), told.append, dry_run=True)
    text = "\n".join(event.text for event in told if isinstance(event, events.Note))
    assert "of 3 stages: explore:2x2, train:1x6, compress" in text


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (("compress",), "begins with compress, which goes on from models of the phase: put explore:8"),
        (("explore:2x2", "compress", "train:1x2"), "compress is the last stage of a phase, and there once"),
        (("explore:2x2", "compress:2"), "it makes one child and trains nothing: write compress"),
        (("explore:2x2", "compress:1x3"), "it makes one child and trains nothing: write compress"),
    ],
)
def test_stages_that_cannot_be(data: Path, stages: tuple[str, ...], message: str) -> None:
    config = tiny_run.config(data)
    config.experiment.stages = stages
    with pytest.raises(ConfigError, match=message):
        validate(config)
