"""What `GET /v1/tasks` says of a task."""

from __future__ import annotations

from typing import Any

from munet import intervals
from munet.server.models import Models
from munet.types import TaskName


def describe(models: Models, task: TaskName) -> dict[str, Any]:
    """A task's classes, how good its model is (with its 95% interval), and which model that is.

    Args:
      models: what is served.
      task: one of its tasks.
    """
    system = models.system
    model, info, quality = system.model(task), system.task(task), system.last_phase(task).test_quality
    return {
        "name": task,
        "classes": list(info.class_names),
        "model": model.id,
        "image_size": model.hyperparameters["image_size"],
        "test_images": quality.counted,
        "test_accuracy": quality.accuracy,
        "test_accuracy_interval": list(intervals.of_accuracy(quality)),
    }
