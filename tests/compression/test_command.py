"""`munet compress` on a real run: what it writes opens like any run, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import munet
from munet.cli import main
from munet.compression import choice
from munet.run.runs import evolve
from munet.store import Store
from munet.types import CompressionEntry, Position
from tests import tiny_run
from tests.report.stored_run import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks that both train all their layers."""
    place = tmp_path_factory.mktemp("compress")
    tiny_run.write_data(place / "data")
    config = tiny_run.config(place / "data")
    config.experiment.baseline.kind = "full"
    config.experiment.num_generations = config.experiment.num_task_iterations = 1
    config.experiment.search_space.image_size = (32,)
    evolve(config, str(place / "run"), lambda _: None)
    return place / "run"


@pytest.mark.parametrize("rank", [0, 2])
def test_the_new_system_opens_like_any_run(
    rank: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On images this few validation would choose rank 0 or none."""
    if rank:
        monkeypatch.setattr(
            choice, "choose", lambda layers, holds: {layer.id: rank for layer in layers if rank in layer.ranks}
        )
    before = {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()}
    to = tmp_path / "small"
    assert main(["compress", f"--workdir={run}", f"--to={to}", "--tolerance=100"]) == 0
    said = capsys.readouterr()
    assert "Parameters in use: " in said.out
    assert f"  right: {f'in rank {rank}' if rank else 'as the layers they were cloned from'}: " in said.err
    assert {file: file.read_bytes() for file in sorted(run.rglob("*")) if file.is_file()} == before
    *old, new = Store.open(to).journal.entries()
    assert old == list(Store.open(run).journal.entries())
    assert isinstance(new, CompressionEntry)
    assert bool(new.published) == bool(rank)
    assert main(["verify", f"--workdir={to}", "--tests"]) == 0
    assert "2 test accuracies measured again" in capsys.readouterr().out
    assert main(["status", f"--workdir={to}", "--task=left"]) == 0
    assert main(["status", f"--workdir={to}"]) == 0
    assert main(["graph", f"--workdir={to}", f"--output={tmp_path}/graph.svg"]) == 0
    whole, small = munet.open(str(run)), munet.open(str(to))
    assert small.total_params < whole.total_params
    assert len(small.predict("left", np.zeros((4, 16, 16, 1), np.uint8)).names) == 4


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["compress", *arguments]) == 2
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("munet: ")]
    return message


def test_what_cannot_be_compressed_or_written_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "other.txt").write_text("mine")
    workdir, new = f"--workdir={run}", f"--to={tmp_path}/new"
    assert "--to is missing" in refused(capsys, workdir)
    assert "which stays as it is" in refused(capsys, workdir, f"--to={run}")
    assert "which stays as it is" in refused(capsys, workdir, f"--to={run}/inside")
    assert "is not empty" in refused(capsys, workdir, f"--to={full}")
    assert "expected points" in refused(capsys, workdir, new, "--tolerance=-1")
    assert "Did you mean 'left'" in refused(capsys, workdir, new, "--tasks=lefft")
    monkeypatch.setattr(choice, "choose", lambda layers, holds: {})
    assert "can be stored in fewer" in refused(capsys, workdir, new, "--tolerance=0")
    assert "There is no run" in refused(capsys, f"--workdir={full}", new)
    assert "one local directory" in refused(capsys, workdir, "--to=gs://bucket/new")
    write_run(tmp_path / "open", until=Position(0, 1, 1))
    assert "is not complete" in refused(capsys, f"--workdir={tmp_path}/open", new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "open"]
    assert [path.name for path in full.iterdir()] == ["other.txt"]
