"""A flipped bit in the newest entry, for which no later one vouches, is never accepted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from munet.cli.main import main
from munet.errors import CorruptionError, UserError
from munet.report.verify.repair import repair
from munet.report.verify.verify import verify
from munet.store import Journal
from munet.system import view
from munet.types import Position
from tests.report.stored_run import write_run
from tests.store import journal_files
from tests.training.flips import flips

ENDS = {"a generation": Position(0, 1, 1), "the end of a phase": Position(0, 1, 0)}


def newest_alone(run: Path, place: Path) -> Path:
    """The newest entry in a folder of its own, for `flips`."""
    newest = max((run / "journal").iterdir())
    place.mkdir()
    return Path(shutil.copy(newest, place))


def altered(run: Path, place: Path, count: int) -> Iterator[str]:
    """The run with one bit flipped in its newest entry, again and again."""
    copy = newest_alone(run, place)
    for flip in flips(place, count):
        shutil.copy(copy, run / "journal" / copy.name)
        yield flip


@pytest.mark.parametrize("end", ENDS)
def test_300_flips_of_the_newest_entry_are_refused(end: str, tmp_path: Path) -> None:
    write_run(tmp_path / "run", until=ENDS[end])
    for flip in altered(tmp_path / "run", tmp_path / "newest", 300):
        with pytest.raises(CorruptionError, match=r"newest entry.*--repair"):
            list(Journal(tmp_path / "run" / "journal").entries())
        if flip.endswith("7"):  # the slower ways, some of them
            with pytest.raises(CorruptionError):
                view.open(str(tmp_path / "run"))
            assert not verify(str(tmp_path / "run")).is_sound


@pytest.mark.parametrize("end", ENDS)
def test_flips_in_journals_of_old_formats_end_in_a_message(end: str, tmp_path: Path) -> None:
    """There is no hash to find them all by, but none is a raw error."""
    write_run(tmp_path / "run", until=ENDS[end])
    shutil.rmtree(tmp_path / "run" / "snapshots", ignore_errors=True)
    journal_files.as_old_format(tmp_path / "run" / "journal")
    assert view.open(str(tmp_path / "run")).run_state.length > 1
    refused = 0
    for _ in altered(tmp_path / "run", tmp_path / "newest", 150):
        try:
            view.open(str(tmp_path / "run"))
        except UserError:
            refused += 1
    assert refused > 50


def test_the_newest_entry_is_dropped_where_that_suffices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    write_run(run, until=ENDS["a generation"])
    newest = max((run / "journal").iterdir())
    data = newest.read_bytes()
    newest.write_bytes(data[:-9] + b"?" + data[-8:])
    before = len(list((run / "journal").iterdir()))
    assert main(["verify", f"--workdir={run}"]) == 2
    assert f"`munet verify --workdir={run} --repair` sees whether they do" in capsys.readouterr().out
    assert main(["verify", f"--workdir={run}", "--repair"]) == 0
    assert "goes on in task iteration 0, task task1, generation 0" in capsys.readouterr().out
    assert len(Journal(run / "journal")) == before - 1
    assert (run / "journal" / f"{newest.name}.damaged").read_bytes() == data[:-9] + b"?" + data[-8:]
    assert "sound: nothing was changed" in repair(str(run))


def test_the_end_of_a_phase_is_dropped_where_its_best_model_is_still_there(tmp_path: Path) -> None:
    """What the phase's other models had was removed: they are not needed to close it again."""
    run = tmp_path / "run"
    write_run(run)
    before = view.open(str(run))
    newest = max((run / "journal").iterdir())
    newest.write_bytes(newest.read_bytes().replace(b"entry", b"entri", 1))
    assert "was dropped" in repair(str(run))
    assert verify(str(run)).problems == []
    opened = view.open(str(run))
    assert opened.run_state.length == before.run_state.length - 1
    assert opened.controller.best(opened.state).id == before.models["task1"].id


def test_dropping_is_refused_where_files_were_collected_since(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run)
    opened = view.open(str(run))
    newest = max((run / "journal").iterdir())
    best = opened.models["task1"].components["head"]
    (run / "components" / f"{best}.safetensors").unlink()
    damaged = newest.read_bytes().replace(b"entry", b"entri", 1)
    newest.write_bytes(damaged)
    with pytest.raises(CorruptionError, match=r"cannot go on.*is missing.*Nothing was changed"):
        repair(str(run))
    assert newest.read_bytes() == damaged


def test_dropping_is_refused_where_an_older_entry_is_damaged(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run)
    second = run / "journal" / "00000002.json"
    second.write_bytes(second.read_bytes().replace(b"entry", b"entri", 1))
    with pytest.raises(CorruptionError, match=r"Entry 2 of \d+ is the first.*nothing was changed"):
        repair(str(run))


def test_the_entry_before_is_not_taken_for_the_newest(tmp_path: Path) -> None:
    """A sound newest entry behind an altered one of an old format, which has no hash of its own."""
    run = tmp_path / "run"
    write_run(run, until=Position(0, 1, 1))
    newest, before = sorted((run / "journal").iterdir(), reverse=True)[:2]
    content = journal_files.read(newest)
    journal_files.edit(before, lambda entry: entry["entry"].update(task="other"))
    assert journal_files.read(newest) == content
    with pytest.raises(CorruptionError):
        repair(str(run))
    assert newest.exists()
