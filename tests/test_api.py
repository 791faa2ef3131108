"""`munet.evolve` from Python: runs, resumes, compares, returns a system."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import munet
from munet.cli import main
from munet.errors import WorkdirError
from munet.store.journal import Journal
from tests import tiny_run
from tests.python_calls import IMAGES, arguments, birds


@pytest.fixture(scope="module")
def system(data: Path, tmp_path_factory: pytest.TempPathFactory) -> munet.System:
    workdir = tmp_path_factory.mktemp("run") / "mine"
    return munet.evolve([birds(), f"npz:{data}/left.npz"], workdir=str(workdir), **arguments(data))


def test_a_system_from_arrays_is_there_at_once(system: munet.System) -> None:
    assert system.is_complete
    assert [task.name for task in system.tasks] == list(system.models) == ["birds", "left"]
    assert system.tasks[0].uri == "memory:birds"
    prediction = system.predict("birds", IMAGES)
    assert len(prediction) == 60
    assert set(prediction.names) <= {"wren", "tit", "owl"}
    assert repr(prediction).startswith("Prediction('birds', 60 images: ")
    graph = system.graph()
    assert [task.name for task in graph.tasks] == ["birds", "left"]
    assert graph._repr_svg_().startswith("<svg")
    for shown in (repr(system), system._repr_html_()):
        assert "birds" in shown
        assert "Complete: 2 of 2 generations" in shown


def test_its_accuracies_are_measured_again_where_the_arrays_are(
    system: munet.System, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = munet.verify(system, [birds()])
    assert report.is_sound, str(report)
    assert report.num_tested == 2
    assert munet.verify(system.workdir, tests=False).is_sound
    other = munet.verify(system, [birds(IMAGES[::-1] ^ 1)])
    assert "is not the data that the run used" in str(other)
    assert main(["verify", "--tests", f"--workdir={system.workdir}"]) == 2
    assert "munet.verify(workdir, tasks=[task])" in capsys.readouterr().out


def test_the_command_line_asks_for_the_arrays(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evolve", "--config=base", "--config.tasks=memory:birds", f"--workdir={tmp_path}/x"]) == 2
    assert "munet.Task('birds', images, labels)" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_the_same_call_only_reads_and_other_arrays_are_refused(system: munet.System, data: Path) -> None:
    uri = f"npz:{data}/left.npz"
    before = tiny_run.results(Path(system.workdir))
    again = munet.evolve([birds(), uri], workdir=system.workdir, **arguments(data))
    assert again.models == system.models
    assert tiny_run.results(Path(system.workdir)) == before
    with pytest.raises(WorkdirError, match="the data of 'birds': as many images, but others"):
        munet.evolve([birds(255 - IMAGES), uri], workdir=system.workdir, **arguments(data))
    assert tiny_run.results(Path(system.workdir)) == before


def test_an_interrupted_call_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = arguments(data, num_generations=2, workdir=str(tmp_path / "run"), quiet=False)
    appended: list[Any] = []
    append = Journal.append

    def interrupted(journal: Any, entry: Any, at: int | None = None) -> None:
        append(journal, entry, at)
        appended.append(entry)
        if len(appended) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            munet.evolve(birds(), **settings)
    assert f"The same call goes on with the run in {tmp_path}/run." in capsys.readouterr().out
    system = munet.evolve(birds(), **settings)
    shown = capsys.readouterr().out
    assert "1 generation done before" in shown
    assert "generation 2/2: best" in shown
    assert system.is_complete
