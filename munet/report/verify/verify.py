"""`munet verify`: proof that a system on disk is what the run wrote, with every problem found in one report.

Checked are: the journal (`journal_check.py`); every component's bytes against its name; that no retained model lacks a
component, and that shapes are those of its architecture; that accounted parameters add up to the unique parameters in
use; snapshots, saves in flight and baselines (`stored_files.py`); and, on request, that test accuracies measured again
are equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from munet import kinds
from munet.consoles import PrintableConsole
from munet.data.open_settings import NO_ARRAYS, Arrays
from munet.errors import CorruptionError, UserError
from munet.report.verify import stored_files
from munet.report.verify.journal_check import check_journal, is_cut
from munet.report.verify.problems import VerifyReport
from munet.store import Store
from munet.system import joint, view
from munet.system.view import RunView
from munet.types import ComponentId, ComponentRecord, ModelId, Quality, TaskName
from munet.vit import architecture

__all__ = ["Measure", "VerifyReport", "remeasure", "run", "verify"]

_REPEATS = 3  # when problems were found while the run went on

# The test quality of a task's model, measured again; of a `RunView`, or of a `RoutedView`.
Measure = Callable[[Any, TaskName], Quality]


def verify(workdir: str, measure: Measure | None = None) -> VerifyReport:
    """Checks a run, finished or going on; reads every component once.

    Args:
      workdir: of the run.
      measure: measures a test accuracy again (see `remeasure`); None: that is left out.

    Raises:
      WorkdirError: there is no run, or one of a newer format.
    """
    report, has_grown = _verify_once(workdir, measure)
    for _ in range(_REPEATS):
        if report.is_sound or not has_grown:
            break
        # A run that goes on closes phases, and then removes what it needs no more: not a fault of what was there.
        report, has_grown = _verify_once(workdir, measure)
    if not joint.is_joint(workdir) and ((kind := kinds.found(workdir)) is None or kind.check is None):
        stored_files.check_baselines(Store(workdir), report, lambda place: verify(place, measure))
    return report


def _verify_once(workdir: str, measure: Measure | None) -> tuple[VerifyReport, bool]:
    """The report, and whether the run wrote to its journal meanwhile."""
    report = VerifyReport(workdir)
    if (kind := kinds.found(workdir)) is not None and kind.check is not None:
        kind.check()(workdir, report, measure)
        return report, False
    if joint.is_joint(workdir):
        _check_system(view.open(workdir), report, measure)
        return report, False
    try:
        store = Store.open(workdir)
    except CorruptionError:
        store = Store(workdir)  # what is wrong is found again below, with the rest
    system = check_journal(store, report)
    stored_files.check_snapshots(store, report)
    stored_files.check_in_flight(store, report)
    if system is None:
        _check_components(store, report)
        return report, False
    _check_system(system, report, measure)
    if not system.is_complete:
        report.notes.append(f"The run is not complete; the phase of {system.active_task} is open.")
    try:
        return report, len(store.journal) > report.num_entries
    except CorruptionError:
        return report, False


def _check_system(system: RunView, report: VerifyReport, measure: Measure | None) -> None:
    """Components, models, what they are accounted for, and on request their test accuracies."""
    sound = _check_components(system.store, report)
    _check_models(system, sound, report)
    _check_accounting(system, report)
    for task in system.models if measure is not None else ():
        _check_test(system, task, sound, measure, report)
    if system.joint is not None and not system.is_complete:
        report.notes.append(f"The training is not complete; measured last after {system.joint.rounds:,} rounds.")


def run(workdir: str, measure: Measure | None = None) -> int:
    """Verifies and prints what was found on standard output.

    Returns:
      The number of problems.
    """
    report = verify(workdir, measure)
    console = PrintableConsole(soft_wrap=True, highlight=False, markup=False)
    for line in report.lines():
        console.print(line)
    return report.num_problems


def remeasure(data_dir: str = "", cache_dir: str = "", arrays: Arrays = NO_ARRAYS) -> Measure:
    """A `Measure` that reads the run's own data sets, and measures as the run does.

    Relative paths of tasks go from the current folder, else from the one in which the run was started.

    Args:
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": none.
      arrays: the `memory:` tasks, by name.
    """
    from munet.report.verify import routed_check
    from munet.system.data import open_again
    from munet.system.routed import RoutedView
    from munet.training.measure import evaluation
    from munet.training.program import jax_settings
    from munet.training.work import TaskWork

    jax_settings.pin()

    def measure(system: RunView | RoutedView, task: TaskName) -> Quality:
        if isinstance(system, RoutedView):
            return routed_check.measured_again(system, task, data_dir, cache_dir)
        info, model = system.task(task), system.model(task)
        data = open_again(system, task, data_dir, cache_dir, arrays)
        with data.testing():
            work = TaskWork.of(system.experiment, info)
            measured = evaluation.measure(work, system.load(task), model.hyperparameters, data.split("test"))
        return measured.quality

    return measure


def _check_components(store: Store, report: VerifyReport) -> dict[ComponentId, ComponentRecord]:
    """Every component that is there, byte by byte; returns the records of the sound ones."""
    sound: dict[ComponentId, ComponentRecord] = {}
    for identity in sorted(store.components.ids()):
        try:
            sound[identity] = store.components.get(identity)[0]
        except CorruptionError as error:
            if identity in store.components.ids():  # else a run that goes on has just collected it
                report.add_error(_place(store, identity), error)
        report.num_components += 1
    return sound


def _check_models(system: RunView, sound: Mapping[ComponentId, ComponentRecord], report: VerifyReport) -> None:
    """Every model has all its components, with the recorded descent; retained ones with the shapes they mean."""
    there = system.store.components.ids()
    users: dict[ComponentId, list[str]] = {}
    gone = _population_gone(system)
    for model in system.state.models.values():  # the root and the active population too: resuming needs them
        if model.id in gone:
            continue
        for identity in system.state.used_by(model):
            users.setdefault(identity, []).append(f"{model.id} of {model.task}" if model.task else "0 (the root)")
    for identity, record in system.state.components.items():
        if record.origin == "root":  # its position embedding is resized for others, also where no model uses it
            users.setdefault(identity, ["0 (the root)"])
    for identity, names in users.items():
        record = system.state.components[identity]
        if identity not in there:
            text = f"Component {record.name} is missing; needed by model {', '.join(names)}."
            report.add(_place(system.store, identity), text)
        elif identity in sound and sound[identity] != record:
            report.add(_place(system.store, identity), f"Its record of {record.name} is not the one in the journal.")
    for task, retained in system.models.items():
        report.num_models += 1
        for name, identity in retained.components.items():
            for text in _shape_problems(system, task, name, identity):
                report.add(_place(system.store, identity), text)


def _shape_problems(system: RunView, task: TaskName, name: str, identity: ComponentId) -> list[str]:
    record, model = system.components[identity], system.model(task)
    variant = architecture.get_variant(system.experiment.variant)
    expected = architecture.model_leaves(variant, name, model.hyperparameters, system.task(task).num_classes)
    if record.name == name and dict(record.layer_leaves) == expected:
        return []
    return [f"Model {model.id} of {task} uses it as {name}, but its name ({record.name}) or shapes are others."]


def _population_gone(system: RunView) -> set[ModelId]:
    """Models of the open phase whose files may have been removed, by an entry that is damaged, or was and is dropped.

    Where the phase is over but for being closed, that takes its best model alone.
    """
    state, controller = system.state, system.controller
    if state.active and controller.is_phase_over(state):
        return {*state.active} - {controller.best(state).id}
    return set(state.active) if is_cut(system) else set()


def _check_accounting(system: RunView, report: VerifyReport) -> None:
    """The accounted parameters of all retained models add up to the unique parameters in use."""
    report.total_params = sum(record.num_params for record in system.components.values())
    accounted = math.fsum(system.accounted_params(task) for task in system.models)
    if not math.isclose(accounted, report.total_params, rel_tol=1e-9):
        report.add(
            system.store.journal.path,
            f"Accounted parameters add up to {accounted:,.1f}, but {report.total_params:,} are in use.",
        )


def _check_test(
    system: RunView,
    task: TaskName,
    sound: Mapping[ComponentId, ComponentRecord],
    measure: Measure | None,
    report: VerifyReport,
) -> None:
    """The test accuracy of one task, measured again, is the recorded one: nothing was forgotten."""
    model = system.model(task)
    if measure is None or model.test_quality is None or not sound.keys() >= set(model.components.values()):
        return
    try:
        quality = measure(system, task)
    except UserError as error:
        report.add(
            f"task {task}",
            f"Its test accuracy could not be measured again: {str(error).splitlines()[0]}",
            "Give the data directory that the run used (--data_dir=DIR or $TFDS_DATA_DIR), or verify without --tests. "
            "Relative paths of tasks go from the current folder, else from the one that the run was started in.",
        )
        return
    report.num_tested += 1
    if quality != model.test_quality:
        report.add(
            f"task {task}",
            f"Model {model.id} gets {quality.correct} of {quality.counted} test images right; recorded are "
            f"{model.test_quality.correct} of {model.test_quality.counted}.",
            "On other devices or software a few images may differ; on those of the run none may.",
        )


def _place(store: Store, identity: ComponentId) -> str:
    return f"{store.components.path}/{identity}.safetensors"
