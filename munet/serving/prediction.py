"""What a model says of images: names of classes and probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from munet.errors import UserError
from munet.types import TaskName


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a model says of `n` images, in their order.

    Attributes:
      task: the task.
      class_names: of all classes, in the order of `probabilities`.
      probabilities: softmax of the logits; rows sum to 1.
    """

    task: TaskName
    class_names: tuple[str, ...]
    probabilities: Float[np.ndarray, "n classes"]

    @property
    def indices(self) -> Int[np.ndarray, " n"]:
        """The most probable class of each image; the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def names(self) -> list[str]:
        """The name of the most probable class of each image."""
        return [self.class_names[index] for index in self.indices]

    @property
    def confidences(self) -> Float[np.ndarray, " n"]:
        """The probability of the most probable class of each image."""
        return self.probabilities.max(axis=1, initial=0.0)

    def top(self, count: int = 3) -> list[list[tuple[str, float]]]:
        """The most probable classes of each image with their probabilities, most probable first; the first of equals.

        Args:
          count: how many, at least 1; a task of fewer classes gives all of them.

        Raises:
          UserError: of none or fewer.
        """
        if count < 1:
            raise UserError(f"top({count}): at least 1 class of each image is asked for.")
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [
            [(self.class_names[index], float(row[index])) for index in best]
            for row, best in zip(self.probabilities, order, strict=True)
        ]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name} {confidence:.0%}" for name, confidence in zip(self.names[:8], self.confidences, strict=False)
        )
        return f"Prediction({self.task!r}, {len(self):,} images: {shown}{', ...' if len(self) > 8 else ''})"

    def __len__(self) -> int:
        """The number of images that were classified."""
        return len(self.probabilities)
