"""A task's model on its own, ready to be written in another program's format: no system, no low-rank updates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from munet.data.uris import SCHEMES
from munet.data.value_range import ValueRange
from munet.errors import CorruptionError
from munet.export.reading import reading
from munet.serving.inputs import Inputs
from munet.system.view import RunView
from munet.types import TaskName
from munet.vit import architecture
from munet.vit.architecture import Variant, is_adapter
from munet.vit.augreg import Components
from munet.vit.init import merge_lora


@dataclass(frozen=True)
class PortableModel:
    """What a format needs to know of a model.

    Attributes:
      task: whose model it is.
      variant: the ViT family member.
      image_size: pixels on a side.
      canvas: pixels on a side to which larger images are squashed before.
      antialias: whether images that shrink are smoothed.
      class_names: in the order of the head's outputs.
      components: arrays by component and path, in path order; low-rank updates are merged into their blocks.
      image_shape: height, width and channels that the task's images were brought to; (): the run did not note it.
      value_range: of the task's grey files, where it says so.
      is_decoded_whole: whether the task's images were squashed from all of their pixels (see `munet.data.uris`).
    """

    task: TaskName
    variant: Variant
    image_size: int
    canvas: int
    antialias: bool
    class_names: tuple[str, ...]
    components: Components
    image_shape: tuple[int, ...] = ()
    value_range: ValueRange | None = None
    is_decoded_whole: bool = True

    @property
    def reading(self) -> str:
        """Lines of Python that read `image.png` with Pillow as the task's images were read: `image`, in mode RGB."""
        return reading(self.image_shape, self.canvas, self.value_range, is_decoded_whole=self.is_decoded_whole)

    @cached_property
    def num_blocks(self) -> int:
        """Transformer blocks."""
        return sum(map(architecture.is_block, self.components))

    @cached_property
    def adapters(self) -> dict[int, int]:
        """The inner width of each residual adapter by the index of the block that it stands before."""
        return {
            architecture.layer_index(name) or 0: arrays["Dense_0/kernel"].shape[1]
            for name, arrays in self.components.items()
            if is_adapter(name)
        }

    @cached_property
    def num_params(self) -> int:
        """Parameters, the head's too."""
        return sum(array.size for arrays in self.components.values() for array in arrays.values())


@dataclass(frozen=True)
class Usage:
    """What the card of an export says of its format.

    Attributes:
      library: that opens it, as Hugging Face calls it.
      lead: the first sentences.
      example: a few lines of Python that classify `image.png`, run inside the folder.
    """

    library: str
    lead: str
    example: str


def of_task(system: RunView, task: TaskName) -> PortableModel:
    """The retained model of a task.

    Raises:
      UserError: no such task, or no model yet.
      CorruptionError: a component's file is damaged or missing; the message names it and the tasks that need it.
    """
    model = system.model(task)
    try:
        loaded = system.load(task)
    except CorruptionError as error:
        users = {user for id in system.state.used_by(model) if id in error.text for user in system.users(id)}
        needed = ", ".join(name for name in system.models if name in users or name == task)
        raise CorruptionError(f"{error.text} It is needed by: {needed}.", error.advice) from error
    inputs = Inputs.of(system, task)
    return PortableModel(
        task=task,
        variant=architecture.get_variant(system.experiment.variant),
        image_size=int(model.hyperparameters["image_size"]),
        canvas=inputs.canvas,
        antialias=system.experiment.antialias,
        class_names=system.task(task).class_names,
        components={name: dict(arrays) for name, arrays in merge_lora(loaded).items()},
        image_shape=inputs.shape or (),
        value_range=inputs.value_range,
        is_decoded_whole=SCHEMES[inputs.scheme].is_decoded_whole,
    )
