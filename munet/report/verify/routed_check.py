"""What `munet verify` checks of a routed training: components, rows, accounting, and test accuracies measured again."""

from __future__ import annotations

import math
from collections.abc import Callable

from munet.data.open_settings import OpenSettings
from munet.errors import CorruptionError, UserError
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import inference
from munet.methods.gumbel_matrix.result import ROUTING, RoutedReplica, RoutedTask
from munet.methods.gumbel_matrix.sources import images_of
from munet.report.verify.problems import VerifyReport
from munet.system.data import open_same
from munet.system.routed import RoutedView, open_routed
from munet.training.batches.stream import Resize
from munet.types import Quality, TaskName

Measure = Callable[[RoutedView, TaskName], Quality]
# Models of networks but ViTs were tested with all components computed: rounding may turn an image in a thousand.
_ROUNDED = 0.001


def check(workdir: str, report: VerifyReport, measure: Measure | None = None) -> None:
    """Checks a routed training; reads every component once.

    Args:
      workdir: of the training.
      report: takes what is found.
      measure: measures a task's test accuracy of the first seed again; None: that is left out.

    Raises:
      WorkdirError: it was written by a newer version.
    """
    place = Workdir(workdir, ROUTING)
    try:
        place.beginning()  # of a newer version nothing can be said, not even whether it is complete
        if place.result() is None:
            report.notes.append("The training is not complete; components are checked when it is.")
            return
        opened = open_routed(workdir)
    except CorruptionError as error:
        report.add_error(workdir, error)
        return
    store, sound = opened.place.components, set()
    there = set(store.ids())
    for identity, record in opened.result.published.items():
        where = f"{store.path}/{identity}.safetensors"
        report.num_components += 1
        if identity not in there:
            report.add(where, f"Component {record.name} is missing.")
            continue
        try:
            found = store.get(identity)[0]
        except CorruptionError as error:
            report.add_error(where, error)
            continue
        if found == record:
            sound.add(identity)
        else:
            report.add(where, f"Its record of {record.name} is not the one in result.json.")
    for replica in opened.result.replicas:
        _check_accounting(opened, replica, report)
    first = opened.result.replicas[0]
    for name, task in first.tasks.items():
        report.num_models += 1
        if measure is not None and task.test is not None and sound >= set(task.components.values()):
            _check_test(opened, name, task, measure, report)


def _check_accounting(opened: RoutedView, replica: RoutedReplica, report: VerifyReport) -> None:
    """The accounted parameters of all tasks add up to the unique parameters in use."""
    records = {identity for task in replica.tasks.values() for identity in task.components.values()}
    unique = sum(opened.result.published[identity].num_params for identity in records)
    accounted = math.fsum(task.accounted_params for task in replica.tasks.values())
    if replica is opened.result.replicas[0]:
        report.total_params = unique
    if not math.isclose(accounted, unique, rel_tol=1e-9):
        report.add(
            opened.place.location("result.json"),
            f"Accounted parameters of seed {replica.seed} add up to {accounted:,.1f}, but {unique:,} are in use.",
        )


def _check_test(opened: RoutedView, name: TaskName, task: RoutedTask, measure: Measure, report: VerifyReport) -> None:
    """The test accuracy of one task, measured again, is the recorded one."""
    try:
        quality = measure(opened, name)
    except UserError as error:
        report.add(
            f"task {name}",
            f"Its test accuracy could not be measured again: {error}",
            "Give the data directory that the training used, or verify without tests.",
        )
        return
    report.num_tested += 1
    recorded = task.test
    if recorded is None:
        return
    most = 0 if opened.experiment.network == "vit" else math.ceil(_ROUNDED * recorded.counted)
    if quality.counted != recorded.counted or abs(quality.correct - recorded.correct) > most:
        report.add(
            f"task {name}",
            f"Its model gets {quality.correct} of {quality.counted} test images right; recorded are "
            f"{recorded.correct} of {recorded.counted}.",
            "On other devices or software a few images may differ; on those of the training none may.",
        )


def measured_again(opened: RoutedView, task: TaskName, data_dir: str = "", cache_dir: str = "") -> Quality:
    """The test accuracy of a task's model of the first seed, with the data that the training used.

    Args:
      opened: the training.
      task: of it.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": none.

    Raises:
      UserError: the data cannot be read, or is not what the training used.
    """
    experiment = opened.experiment
    settings = OpenSettings(data_dir, cache_dir, experiment.seed_of_data, experiment.image_size, max_bad_images=1.0)
    data = open_same(opened.beginning.folder, opened.info(task), settings)
    with data.testing():
        split, resize = data.split("test"), Resize(experiment.image_size, antialias=False)
        model = opened.model(task)
        return inference.measure(model, images_of(experiment).prepared, split, resize).quality
