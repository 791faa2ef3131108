"""Tasks, as the journal knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from munet.types.names import TaskName

Objective = Literal["", "value", "next_token"]  # "": a class
Unit = Literal["bytes", "words"]  # what a symbol of a text is


@dataclass(frozen=True)
class TaskInfo:
    """What the journal's first entry holds of a task; resuming on other data is refused.

    `image_shape` is the height, width and channels that the task's images were brought to, as whoever predicts has to;
    `()` in journals written before it was noted, or where images are first decoded in training. `objective` is what is
    predicted of an example: its class ("" in files, as ever), a `value`, or the `next_token` of a text, whose symbols
    are the classes then.
    """

    name: TaskName
    uri: str
    fingerprint: str  # hash of the source's identity and split sizes
    class_names: tuple[str, ...]
    num_train: int
    num_validation: int
    num_test: int
    image_shape: tuple[int, ...] = field(default=(), compare=False, kw_only=True, metadata={"omit_default": True})
    objective: Objective = field(default="", kw_only=True, metadata={"omit_default": True})

    @property
    def num_classes(self) -> int:
        """Number of head outputs."""
        return len(self.class_names)
