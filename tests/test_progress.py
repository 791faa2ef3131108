"""What a person, a pipe and the log see of a run (munet/progress), on the events of a simulated one."""

from __future__ import annotations

import errno
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from rich.console import Console

from munet.errors import DiskFullError
from munet.progress import (
    Advanced,
    Compiling,
    CycleEnded,
    Decided,
    Event,
    GenerationEnded,
    GenerationStarted,
    Measured,
    Note,
    PhaseEnded,
    RunEnded,
    RunFailed,
    RunStarted,
    TrainingEnded,
    TrainingStarted,
    wording,
)
from munet.progress.jsonl import JsonLines
from munet.progress.lines import PlainLines
from munet.progress.listeners import Listeners, listeners_for
from munet.progress.terminal import LiveDisplay
from munet.progress.tracker import Tracker
from munet.store.codec import from_json
from munet.types import ChildPlan, CycleQualities, GenerationEntry, Mutation, Quality, Verdict
from tests.simulated_events import simulated_events

EVENTS = tuple(simulated_events(mutation_probability=0.3))


def generations() -> list[GenerationEntry]:
    return [event.entry for event in EVENTS if isinstance(event, GenerationEnded)]


def plain() -> list[str]:
    stream = io.StringIO()
    display = PlainLines(stream)
    for event in EVENTS:
        display(event)
    display.close()
    return stream.getvalue().splitlines()


def live(width: int, events: tuple[Event, ...] = EVENTS) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, height=50, force_terminal=False, highlight=False)
    display = LiveDisplay(stream, console)
    for event in events:
        display(event)
    display.close()
    return stream.getvalue().splitlines()


def current(width: int, events: tuple[Event, ...]) -> str:
    """The redrawn part after the last event."""
    display = LiveDisplay(io.StringIO(), Console(file=io.StringIO(), width=width))
    for event in events:
        display(event)
    stream = io.StringIO()
    Console(file=stream, width=width).print(display.render())
    display.close()
    return stream.getvalue()


def test_plain_lines_say_everything_about_every_child() -> None:
    lines = plain()
    for entry in generations():
        for child in entry.children:
            (line,) = [text for text in lines if text.split()[:1] == [f"#{child.plan.id}"]]
            assert f"from {wording.model_name(child.plan.parent)} " in line
            assert wording.describe_mutations(child.plan) in line
            assert wording.describe_qualities(child.training, child.verdict.best_cycle) in line
            assert wording.describe_verdict(child.verdict) in line
            assert (
                re.search(r"\b0\.\d{4}", line.partition("score")[2].partition("  learning_rate")[0]) is None
            )  # one scale
            if child.verdict.score is not None:
                assert f"score {100 * child.verdict.score:.2f} %" in line


def test_plain_lines_say_phase_generation_rate_and_end() -> None:
    lines = plain()
    assert lines[0].startswith(
        "muNet in runs/demo: 2 tasks, 2 task iterations of 2 generations of 4 children, 3 cycles"
    )
    assert "task iteration 2/2, task 1/2: digits (10 classes; 800 train, 100 validation, 100 test images)" in lines
    assert "  generation 2/2: 4 children, 3 cycles of 10 steps of 128 images, 2 programs" in lines
    assert sum("images/s, " in line and " left; " in line for line in lines) == len(generations())
    assert sum(" is kept, " in line and " test " in line for line in lines) == 4
    assert lines[-1] == "complete after 21 s"
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_live_display_fits_its_width(width: int) -> None:
    assert max(map(len, live(width))) <= width
    events = EVENTS[: [isinstance(event, CycleEnded) for event in EVENTS].index(True) + 1]
    assert max(map(len, current(width, events).splitlines())) <= width


def test_live_display_keeps_a_line_for_every_child() -> None:
    text = "\n".join(live(160))
    for entry in generations():
        for child in entry.children:
            (line,) = [line for line in text.splitlines() if line.split()[:1] == [f"#{child.plan.id}"]]
            assert ("kept" if child.verdict.is_kept else "pruned") in line
            assert wording.short_verdict(child.verdict) in line
            assert wording.describe_qualities(child.training, child.verdict.best_cycle) in line
            assert wording.describe_mutations(child.plan).split(";")[0][:20] in line


def test_live_display_shows_the_children_in_training() -> None:
    started = next(i for i, event in enumerate(EVENTS) if isinstance(event, GenerationStarted))
    generation = EVENTS[started]
    assert isinstance(generation, GenerationStarted)
    cycle = next(i for i, event in enumerate(EVENTS) if isinstance(event, CycleEnded))
    before, after = current(100, EVENTS[: started + 1]), current(100, EVENTS[: cycle + 1])
    for child in generation.plan.children:
        assert f"#{child.id} " in before
    assert before.count(".... .... ....") == 4
    assert after.count(".... ....") == 4
    assert "images/s" in after


def test_live_display_gives_the_terminal_back_when_interrupted() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True)
    with Listeners([LiveDisplay(stream, console)]) as listen:
        listen(EVENTS[0])
        assert stream.getvalue().count("\x1b[?25l") == 1  # the cursor is hidden
    assert stream.getvalue().count("\x1b[?25h") == 1


def test_a_second_run_shows_in_the_same_display() -> None:
    assert sum("muNet in runs/demo" in line for line in live(160, EVENTS + EVENTS)) == 2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_tracker_counts_images_and_estimates_the_time_left() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    assert tracker.images_per_second is None
    assert tracker.seconds_left is None
    for event in EVENTS:
        if isinstance(event, CycleEnded):
            clock.now += 2.0
        tracker(event)
        if isinstance(event, CycleEnded):
            assert tracker.images_per_second == pytest.approx(4 * 10 * 128 / 2.0)
            assert tracker.seconds_left == pytest.approx((8 * 3 - round(tracker.fraction * 24)) * 2.0)
    assert tracker.fraction == 1.0
    assert tracker.seconds_left == 0.0


def test_tracker_follows_a_rate_that_changes() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    tracker(RunStarted("d", ("a",), 1, 1, ("evolve:1x1",), image_steps_total=10_000))
    for seconds, rate in ((300, 10.0), (300, 1.0)):
        for _ in range(seconds):
            clock.now += 1
            tracker(CycleEnded(0, {}, round(rate), 1.0))
        assert tracker.images_per_second == pytest.approx(rate, rel=0.5)


def test_tracker_starts_from_what_a_resumed_run_had_done() -> None:
    tracker = Tracker(Clock())
    tracker(
        RunStarted("d", ("a",), 1, 1, ("evolve:1x1",), generations_done=1, image_steps_done=300, image_steps_total=400)
    )
    assert tracker.fraction == 0.75
    generation = next(event for event in EVENTS if isinstance(event, GenerationStarted))
    ended = next(event for event in EVENTS if isinstance(event, GenerationEnded))
    tracker(generation)  # its cycles were trained by the start before, and are not reported again
    tracker(ended)
    assert tracker.image_steps == 300 + sum(child.cost.image_steps for child in ended.entry.children)


def test_log_has_every_event_in_order_and_comes_back(tmp_path: Path) -> None:
    times = iter(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=i) for i in range(1000))
    log = JsonLines(lambda: next(times))
    for event in EVENTS:
        if isinstance(event, RunStarted):
            assert list(tmp_path.iterdir()) == []
            event = RunStarted(**{**vars(event), "workdir": str(tmp_path)})
        log(event)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [type(event).__name__ for event in EVENTS]
    assert lines[0]["time"] == "2024-01-01T00:00:01.000+00:00"
    for line, event in zip(lines[1:], EVENTS[1:], strict=True):
        fields = {key: value for key, value in line.items() if key not in ("time", "event")}
        assert from_json(type(event), fields) == event


def start(workdir: Path | str) -> RunStarted:
    return RunStarted(str(workdir), ("a",), 1, 1, ("evolve:1x1",))


def test_log_is_appended_to_and_events_before_the_start_wait(tmp_path: Path) -> None:
    for text in ("first", "second"):
        log = JsonLines()
        log(Note(text))
        log(start(tmp_path))
        log(start(tmp_path / "baselines"))  # one log for a run and what it is compared with
        log.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["Note", "RunStarted", "RunStarted"] * 2
    assert [line["text"] for line in lines if line["event"] == "Note"] == ["first", "second"]


def test_log_on_an_object_store_is_one_object_a_start() -> None:
    log = JsonLines()
    log(start("memory://progress/run"))
    log(Note("a"))
    log.close()
    files = fsspec.filesystem("memory").glob("/progress/run/log-*.jsonl")
    assert len(files) == 1
    assert fsspec.filesystem("memory").cat_file(files[0]).count(b"\n") == 2


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_ends_the_run(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listeners_for(io.StringIO()) as listen:
        listen(start(tmp_path))

        def fail(*_: Any, **__: Any) -> None:
            raise OSError(code, "full")

        monkeypatch.setattr(Path, "open", fail)
        with pytest.raises(DiskFullError, match="make room"):
            listen(Note("lost"))
        monkeypatch.undo()


def test_a_log_that_cannot_be_written_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(IsADirectoryError):
        JsonLines()(start(tmp_path))


def test_listeners_for_a_pipe_and_without_log(tmp_path: Path) -> None:
    stream = io.StringIO()
    with listeners_for(stream, with_log=False) as listen:
        listen(start(tmp_path))
        listen(RunEnded(False, 3.0))
    assert "interrupted after 3.0 s" in stream.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_every_event_is_shown_by_the_simulated_run() -> None:
    joint = {TrainingStarted, Advanced, Measured, Decided, TrainingEnded}  # tests/joint/test_progress.py
    assert {type(event) for event in EVENTS} == set(Event.__args__) - {RunFailed} - joint  # that one is on stderr
    assert any(isinstance(event, PhaseEnded) for event in EVENTS)


def child(*mutations: Mutation, is_seed: bool = False) -> ChildPlan:
    return ChildPlan(3, "a", 0, is_seed, {}, (), mutations)


def test_mutations_in_words() -> None:
    norm = Mutation("clone", "encoder_norm", forced=True)
    block = Mutation("clone", "encoderblock_1")
    adapter = Mutation("insert", "residual_adapter_0")
    lora = Mutation("insert", "lora_1")
    rate = Mutation("hyperparameter", "learning_rate", 0.01, 0.02)
    stays = Mutation("hyperparameter", "momentum", 0.99, 0.99, effective=False)
    blocks = Mutation("num_blocks", "num_blocks", 3, 2)
    assert wording.describe_mutations(child(is_seed=True)) == "seed: head only"
    assert wording.describe_mutations(child()) == "no mutation"
    assert wording.describe_mutations(child(norm)) == "clone norm"
    assert wording.describe_mutations(child(Mutation("compress", "layers"))) == "store layers in low rank"
    assert wording.describe_mutations(child(block, norm, adapter, lora, blocks, rate, stays)) == (
        "clone block 1; insert adapter 0, LoRA 1; blocks 3 -> 2; learning_rate 0.01 -> 0.02; momentum stays 0.99"
    )
    position = Mutation("clone", "posembed_input")
    assert wording.describe_mutations(child(position, block)) == "clone position, block 1"


def test_a_generation_says_what_changed_in_its_data_settings() -> None:
    fired = (
        Mutation("hyperparameter", "crop_area_min", 0.05, 0.1),
        Mutation("hyperparameter", "flip", True, True, effective=False),
    )
    line = "data: crop_area_min 0.05 -> 0.1; flip stays True"
    assert wording.describe_data(fired) == line
    assert wording.describe_data(()) == ""
    started = next(event for event in EVENTS if isinstance(event, GenerationStarted))
    ended = next(event for event in EVENTS if isinstance(event, GenerationEnded))
    changed: list[Event] = [
        replace(started, plan=replace(started.plan, data_mutations=fired)),
        replace(ended, entry=replace(ended.entry, data_mutations=fired)),
    ]
    stream = io.StringIO()
    lines = PlainLines(stream)
    for event in changed:
        lines(event)
    assert stream.getvalue().splitlines()[1] == f"    {line}"
    assert live(100, tuple(changed))[1].rstrip() == f"    {line}"
    assert f"    {line}" in current(100, tuple(changed[:1]))


def test_qualities_and_verdicts_in_words() -> None:
    training = CycleQualities((Quality(1, 2), Quality(2, 3), Quality(0, 3)), diverged_at=2)
    assert wording.describe_qualities(training, 1) == "50.0 *66.7 nan %"
    assert wording.short_verdict(Verdict(True, "", 0, 0.912, 0.887)) == "91.20 > 88.70 %"
    assert wording.short_verdict(Verdict(False, "", 0, 0.5, 0.5)) == "50.00 = 50.00 %"
    assert wording.short_verdict(Verdict(False, "", 0, 0.50001, 0.50002)) == "50.0010 < 50.0020 %"
    assert wording.short_verdict(Verdict(True, "", 0, 0.28)) == "28.00 %"
    assert wording.short_verdict(Verdict(False, "")) == "not finite"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("0.9120 > 0.8870 of its parent", "91.20 % > 88.70 % of its parent"),
        ("never beat its parent's 0.50002 (best 0.50001)", "never beat its parent's 50.002 % (best 50.001 %)"),
        ("1.0000, and its parent was not trained on v0.1234", "100.00 %, and its parent was not trained on v0.1234"),
        ("gave no finite result; diverged in cycle 1", "gave no finite result; diverged in cycle 1"),
    ],
)
def test_scores_of_a_verdict_are_on_the_scale_of_accuracies(reason: str, words: str) -> None:
    assert wording.describe_verdict(Verdict(True, reason)) == f"kept: {words}"


def test_compilation_is_said_and_kept_out_of_the_time_left() -> None:
    clock = Clock()
    tracker = Tracker(clock)
    tracker(RunStarted("d", ("a",), 1, 1, ("evolve:1x1",), image_steps_total=300))
    for done in range(3):
        tracker(Compiling(done, 2))
        clock.now += 40 if done < 2 else 0
        assert (tracker.compiling is None) is (done == 2)
    assert tracker.compiling_seconds == 80
    clock.now += 10
    tracker(CycleEnded(0, {}, 100, 10.0))
    assert tracker.images_per_second == pytest.approx(10)
    assert tracker.seconds_left == pytest.approx(20)
    clock.now += 2
    tracker(CycleEnded(1, {}, 100, 2.0))  # the first one after a compilation is a slow one, and forgotten now
    assert tracker.images_per_second == pytest.approx(50)


def test_every_display_says_that_programs_are_compiled() -> None:
    first = next(i for i, event in enumerate(EVENTS) if isinstance(event, Compiling))
    assert current(80, EVENTS[:first]).rstrip().endswith("0% starting")
    assert "compiling 2 programs, 0 ready, 0.0 s" in current(80, EVENTS[: first + 1])
    assert "compiling 2 programs, 1 ready, 0.0 s" in current(80, EVENTS[: first + 2])
    assert "compiling" not in current(80, EVENTS[: first + 3])
    assert sum(line == "    compiling 2 programs" for line in plain()) == 4  # once for each phase
    clock, stream = Clock(), io.StringIO()
    lines = PlainLines(stream, Tracker(clock), children=False)
    for event in EVENTS[: first + 3]:
        clock.now += 30
        lines(event)
    assert stream.getvalue().splitlines()[-2:] == ["    compiling 2 programs", "    2 programs compiled in 1 min 00 s"]


def test_rates() -> None:
    assert wording.describe_rate(None, None) == ""
    assert wording.describe_rate(5600.4, 61) == "5,600 images/s, 1 min 01 s left"
    assert wording.describe_rate(5600.4, None, "example") == "5,600 examples/s"
