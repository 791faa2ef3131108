"""Journals of strangers: whatever they say is refused in one message, or read; nothing stumbles over it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from munet.errors import CorruptionError, UserError
from munet.progress.events import Event
from munet.report.graph import render
from munet.report.status import print_status
from munet.report.verify.verify import verify
from munet.system import sound, view
from munet.types import PhaseEntry, Position, Quality
from tests.system.strangers import stranger


def use(workdir: Path) -> bool:
    """Whether a run can be opened; then its reports are drawn, too. Anything but a UserError is raised."""
    try:
        view.open(str(workdir))
    except UserError:
        return False
    for report in (
        lambda: print_status(str(workdir)),
        lambda: print_status(str(workdir), as_json=True),
        lambda: print_status(str(workdir), task="left"),
        lambda: render.write(str(workdir), "svg", "-"),
        lambda: render.write(str(workdir), "json", "-"),
        lambda: verify(str(workdir)),
    ):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(UserError):
            report()
    return True


def test_journals_of_strangers(finished: tuple[Path, list[Event]], tmp_path: Path) -> None:
    told: list[str] = []
    opened = 0
    for seed in range(60):
        what = stranger(finished[0], tmp_path / str(seed), seed)
        try:
            opened += use(tmp_path / str(seed))
        except Exception as error:  # all of them are told together
            told.append(f"{what}: {type(error).__name__}: {error}")
    assert not told
    assert 5 < opened < 55  # both ways are trodden


SOUND = PhaseEntry(Position(0, 0, 1), "left", 1, Quality(3, 4), (1, 2), (2, 2), ((0, 1, 1),), (1, 2), (2, 2), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"test_quality": Quality(0, 0)},
        {"test_quality": Quality(5, 4)},
        {"test_quality": Quality(-1, 4)},
        {"test_quality": Quality(1, 10**30)},
        {"test_correct_per_class": (1,)},
        {"test_correct_per_class": (1, 3)},
        {"test_counted_per_class": ()},
        {"validation_counted_per_class": (2, 2, 2)},
        {"test_confusions": ((0, 2, 1),)},
        {"test_confusions": ((0, 1),)},
    ],
)
def test_numbers_that_no_run_writes(changes: dict[str, object]) -> None:
    sound.check(SOUND, 2)
    with pytest.raises(CorruptionError):
        sound.check(PhaseEntry(**{**vars(SOUND), **changes}), 2)  # type: ignore[arg-type]


def test_what_folding_stumbles_over_is_named() -> None:
    found: dict[str, int] = {}
    with (
        pytest.raises(CorruptionError, match=r"^Entry 3 does not .*it names 'ab'"),
        sound.stumbles_named("Entry 3"),
    ):
        found["ab"] += 1
    with pytest.raises(CorruptionError, match=r"^Entry 3: odd"), sound.stumbles_named("Entry 3"):
        raise CorruptionError("odd")
