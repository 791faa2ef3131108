"""What a person, a pipe, the log and the user's command see of a joint training."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from munet.progress import Advanced, Decided, Event, Measured, Note, TrainingEnded, TrainingStarted
from munet.progress.hook import Hook
from munet.progress.jsonl import JsonLines
from munet.progress.lines import PlainLines
from munet.progress.terminal import LiveDisplay
from munet.progress.tracker import Tracker
from munet.types import Quality


def events(workdir: Path | str = "runs/joint", rounds_done: int = 0) -> list[Event]:
    return [
        Note("4 tasks"),
        TrainingStarted(str(workdir), "Joint fine-tuning", ("a", "b"), 100, 50, rounds_done),
        Advanced(40),
        Measured(40, 1.5, 0.75, {"a": Quality(3, 4), "b": Quality(1, 2)}),
        Decided(40, 0, {"dropped": 3}),
        Advanced(100),
        Measured(100, 3.8, 0.25, {"a": Quality(4, 4), "b": Quality(1, 2)}, (0.75, 0.5)),
        TrainingEnded(True, 12.0),
    ]


def test_plain_lines() -> None:
    stream = io.StringIO()
    ticks = iter(range(0, 1000, 10))
    display = PlainLines(stream, Tracker(lambda: float(next(ticks))))
    for event in events(rounds_done=20):
        display(event)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == [
        "4 tasks",
        "Joint fine-tuning in runs/joint: 2 tasks, 100 rounds of 50 images; going on after round 20",
    ]
    assert lines[2].startswith("round 40 of 100: epoch 1.5, training loss 0.750, validation 62.50% (mean of 2 tasks)")
    assert "100 images/s, 30 s left" in lines[2]  # 20 rounds of 50 images in 10 s
    assert lines[3] == "round 40 of 100, seed 0: dropped 3"
    assert "validation 62.50% (50.00% to 75.00%; 2 replicas)" in lines[4]
    assert lines[-1] == "complete after 12 s"


def test_what_is_no_image_is_not_called_one() -> None:
    stream = io.StringIO()
    display = PlainLines(stream, Tracker(lambda: 0.0))
    display(TrainingStarted("runs/dna", "MUiR", ("a",), 100, 50, example="example"))
    assert stream.getvalue() == "MUiR in runs/dna: 1 task, 100 rounds of 50 examples\n"


def test_the_live_display_has_a_bar_and_keeps_the_lines() -> None:
    stream = io.StringIO()
    display = LiveDisplay(stream, Console(file=stream, width=120, force_terminal=False, highlight=False))
    for event in events()[:5]:
        display(event)
    bar = io.StringIO()
    Console(file=bar, width=100).print(display.render())
    assert "40%" in bar.getvalue()
    for event in events()[5:]:
        display(event)
    display.close()
    text = stream.getvalue()
    for part in ("Joint fine-tuning in runs/joint", "round 40 of 100", "dropped", "complete after 12 s"):
        assert part in text


def test_the_log_has_all_but_the_ticks(tmp_path: Path) -> None:
    log = JsonLines()
    for event in events(tmp_path):
        log(event)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "Note", "TrainingStarted", "Measured", "Decided", "Measured", "TrainingEnded",
    ]  # fmt: skip
    assert lines[2]["validation"] == {"a": {"correct": 3, "counted": 4}, "b": {"correct": 1, "counted": 2}}


@pytest.mark.parametrize(("is_complete", "name"), [(True, "complete"), (False, "stopped")])
def test_the_users_command_hears_of_the_end(is_complete: bool, name: str, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    hook = Hook(f"env | grep ^MUNET_ >> {log}", warn=pytest.fail)
    for event in [*events()[:-1], TrainingEnded(is_complete, 12.0)]:
        hook(event)
    hook.close()
    found = dict(line.split("=", 1) for line in log.read_text().splitlines())
    assert found["MUNET_EVENT"] == name
    assert found["MUNET_TITLE"] == "Joint fine-tuning"
    assert found["MUNET_WORKDIR"] == "runs/joint"
    assert float(found["MUNET_PROGRESS"]) == 1


def test_a_training_that_was_complete_before_is_not_told(tmp_path: Path) -> None:
    hook = Hook(f"touch {tmp_path}/called", warn=pytest.fail)
    hook(events()[1])
    hook(TrainingEnded(True, 0.0))
    hook.close()
    assert not list(tmp_path.iterdir())
