"""Checks a journal from its first entry on: its chain, that entries follow on each other, and that decisions repeat.

Given the recorded qualities the controller's decisions are the same on every machine, so an entry that says otherwise
was altered, or written by a munet that decides otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from munet import right_images
from munet.errors import CorruptionError, UserError, WorkdirError
from munet.evolution.controller import Controller
from munet.evolution.state import State
from munet.quality import quality_of
from munet.report.verify.problems import RESTORE, VerifyReport
from munet.store import Store
from munet.system import replay
from munet.system.replay import RunState
from munet.system.start_entry import read_experiment
from munet.system.view import RunView
from munet.text import package_version
from munet.types import GenerationEntry, JournalEntry, PhaseEntry, StartEntry


def check_journal(store: Store, report: VerifyReport) -> RunView | None:
    """The system of the longest sound beginning of the journal; None when not even the first entry is sound."""
    start: StartEntry | None = None
    controller: Controller | None = None
    folded: RunState | None = None
    is_sound = True
    for index, entry in _entries(store, report):
        is_sound = is_sound and index == report.num_entries  # nothing can be folded behind a break
        report.num_entries = index + 1
        if not is_sound:
            continue
        place = _place(store, index)
        try:
            if isinstance(entry, StartEntry):
                start, controller = entry, Controller(read_experiment(entry), entry.tasks)
            if controller is None or start is None:
                raise CorruptionError("The journal does not begin with its start entry.")
            if folded is not None:
                for text in _decisions(controller, folded.state, entry):
                    report.add(place, text, _version_advice(start))
            folded = replay.fold(controller, folded, entry, store)
        except UserError as error:
            report.add_error(place, error)
            is_sound = False
        except (LookupError, ValueError, ArithmeticError, TypeError) as error:  # of judging it anew
            report.add(place, f"It makes no sense ({type(error).__name__}: {error}).")
            is_sound = False
    if start is None or folded is None:
        return None
    system = RunView(store, start, folded)
    if is_sound and not is_cut(system):
        _check_snapshots(system, report)
    return system


def is_cut(system: RunView) -> bool:
    """Whether the journal has entries, damaged or behind a damaged one, that the system does without."""
    try:
        return len(system.store.journal) > system.run_state.length
    except CorruptionError:
        return True


def _entries(store: Store, report: VerifyReport) -> Iterator[tuple[int, JournalEntry]]:
    """The journal's entries by index; where the chain breaks that is reported, and reading goes on behind it."""
    try:
        length = len(store.journal)
    except CorruptionError as error:
        report.add_error(store.journal.path, error)
        return
    index = 0
    while index < length:
        try:
            for entry in store.journal.entries(start=index):
                yield index, entry
                index += 1
            return
        except (CorruptionError, WorkdirError) as error:
            report.add_error(_place(store, index), error)
            index += 1


def _decisions(controller: Controller, state: State, entry: JournalEntry) -> Iterator[str]:
    """Where an entry that fits the state says something else than the controller does."""
    if isinstance(entry, GenerationEntry) and entry.position == state.position and not controller.is_phase_over(state):
        plan = controller.ask(state)
        recorded = {child.plan.id: child for child in entry.children}
        if [child.plan for child in entry.children] != list(plan.children):
            yield "It records other children than the run's seed and the entries before it give."
            return
        if entry.data_mutations and entry.data_mutations != plan.data_mutations:  # older journals have none
            yield "It records other mutations of the data settings than the run's seed gives."
        for id, verdict in controller.judge(state, plan, recorded).items():
            found = recorded[id].verdict
            if (found.is_kept, found.best_cycle, found.score) != (verdict.is_kept, verdict.best_cycle, verdict.score):
                yield f"Its verdict on child {id} is not the one that follows from the qualities it records."
    if isinstance(entry, PhaseEntry) and entry.position == state.position and state.active:
        if entry.retained != controller.best(state).id:
            yield f"It retains model {entry.retained}, but model {controller.best(state).id} scores best."
        by_class = (entry.test_correct_per_class, entry.test_counted_per_class)
        counts = tuple(map(sum, by_class))
        total = (entry.test_quality.correct, entry.test_quality.counted)
        if entry.test_counted_per_class and counts != total:
            yield f"Its test accuracy counts {total[0]} of {total[1]}, its classes together {counts[0]} of {counts[1]}."
        elif entry.test_counted_per_class and quality_of(entry.test_quality.metric, *by_class) != entry.test_quality:
            yield "Its balanced test accuracy is not the one that its classes give."
        if problem := _right_images_problem(entry):
            yield problem


def _right_images_problem(entry: PhaseEntry) -> str:
    """What is wrong with the images that it says are right, class by class; "": nothing, or they are not recorded."""
    if not entry.test_right:
        return ""
    try:
        right = right_images.unpack(entry.test_right, entry.test_quality.counted)
    except CorruptionError as error:
        return str(error)
    classes = np.repeat(np.arange(len(entry.test_counted_per_class)), entry.test_counted_per_class)
    if len(classes) != len(right):
        return "It says which test images are right, but not of which classes they are."
    found = np.bincount(classes[right], minlength=len(entry.test_counted_per_class))
    if tuple(map(int, found)) != entry.test_correct_per_class:
        return "The test images that it says are right are not as many of each class as it counts."
    return ""


def _check_snapshots(system: RunView, report: VerifyReport) -> None:
    """A snapshot vouches for the journal up to its length, also for the last entry, which no later one does."""
    store = system.store
    for length, head in store.snapshots.heads().items():
        if length <= system.run_state.length and store.journal.hash_at(length) != head:
            report.add(
                _place(store, length - 1),
                f"It is not what it was when the snapshot {length:08d}.json was taken: one of the two was altered.",
            )
    try:
        loaded = replay.load(system.controller, store)
    except UserError as error:
        report.add(store.snapshots.path, str(error), "Delete the folder: it only saves time.")
        return
    if loaded.length == system.run_state.length and loaded != system.run_state:
        report.add(
            store.snapshots.path,
            "The newest snapshot is not the state that the journal gives.",
            "Delete the folder: it only saves time.",
        )


def _version_advice(start: StartEntry) -> str:
    here = package_version("munet")
    version = start.versions.get("munet", here)
    if version == here:
        return RESTORE
    return f"It was begun by munet {version}, this is {here}: check with that version. {RESTORE}"


def _place(store: Store, index: int) -> str:
    return f"{store.journal.path}/{index:08d}.json"
