"""Each task's most confident mistakes on its test split: images, what they are, and what they are taken for."""

from __future__ import annotations

import io

import numpy as np

from munet.data.tasks import Task
from munet.report.data.contact_sheet import thumbnail
from munet.report.page.parts import Part, Pictures, Section, Text
from munet.report.page.source import Source
from munet.text import count
from munet.types import TaskName

MOST = 24  # of a task
_BATCH = 256  # images that are in memory at a time


def section(source: Source, data_dir: str = "", cache_dir: str = "") -> Section:
    """The mistakes of all tasks that have a model.

    Args:
      source: the run.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`.

    Raises:
      UserError: a task's data is not there, or is not what the run used.
      CorruptionError: a component's file is damaged or missing.
    """
    from munet.system.data import open_again

    found: list[Part] = []
    for task in source.system.models:
        data = open_again(source.system, task, data_dir, cache_dir)
        with data.testing():
            found += _of_task(source, task, data)
        data.release()
    return Section("mistakes", "Most confident mistakes", found)


def _of_task(source: Source, task: TaskName, data: Task) -> list[Part]:
    from munet.serving.device_components import DeviceComponents
    from munet.serving.predictor import Predictor

    test = data.split("test")
    predictor = Predictor(source.system, task, DeviceComponents(source.system.store.components))
    labels = np.asarray(test.labels)
    answers, confidences = np.empty(len(labels), int), np.empty(len(labels))
    for start in range(0, len(labels), _BATCH):
        batch = slice(start, start + _BATCH)
        prediction = predictor.predict(test.images[batch])
        answers[batch], confidences[batch] = prediction.indices, prediction.confidences
    wrong = np.flatnonzero(answers != labels)
    shown = sorted(wrong.tolist(), key=lambda index: (-confidences[index], index))[:MOST]
    if not shown:
        return [Text(f"{task}: none of {count(len(labels), 'test image')} is wrong.")]
    names = source.system.task(task).class_names
    pictures = [
        (_png(test.images[i]), f"{confidences[i]:.0%}: {names[labels[i]]} taken for {names[answers[i]]}") for i in shown
    ]
    return [Pictures(f"{task}: {len(wrong):,} of {count(len(labels), 'test image')} wrong", pictures)]


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    thumbnail(pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
