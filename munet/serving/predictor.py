"""A task's model ready to answer: arrays on the device, checked once, and a few compiled programs.

Images are prepared exactly as validation and test images are in training, at the image size of the task's model, and
computed with in the precision that tests are measured in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from munet.data import augment
from munet.data.images import squash
from munet.errors import CorruptionError
from munet.serving.device_components import DeviceComponents
from munet.serving.inputs import Inputs
from munet.serving.prediction import Prediction
from munet.system.view import RunView
from munet.training.program import precision
from munet.types import ComponentId, TaskName
from munet.vit import architecture, forward
from munet.vit.architecture import Variant

BATCH_SIZES = (1, 4, 16, 64, 256)  # images that programs are compiled for; others are filled up or cut into these


class Predictor:
    """Predicts with one task's retained model, as it was when the system was opened.

    Made by `system.predictor(task)`. The components are on the device from the start; a program is compiled for each
    of `BATCH_SIZES` when it is first needed, or by `warm_up`.

    Args:
      system: of `munet.open`.
      task: a solved task.
      components: of the system, shared by all of its predictors.

    Attributes:
      task: the task.
      model: the retained model's record: `model.id`, hyper-parameters, component ids.
      classes: names of all classes, in the order of logits and probabilities.
      inputs: how images become what the task's images are stored as; `inputs.read(path)` gives what `logits` takes.
      image_size: pixels on a side of what the model sees.
      variant, params, num_blocks, dtype: what `munet.vit.forward.logits` is called with.

    Raises:
      UserError: no such task, or no model yet.
      CorruptionError: a component's file is damaged or missing.
    """

    def __init__(self, system: RunView, task: TaskName, components: DeviceComponents):
        self.task, self.model = task, system.model(task)
        self.classes = system.task(task).class_names
        self.variant = architecture.get_variant(system.experiment.variant)
        self.params = {name: _loaded(system, components, id) for name, id in self.model.components.items()}
        self.num_blocks = sum(map(architecture.is_block, self.model.components))
        self.image_size = int(self.model.hyperparameters["image_size"])
        self.antialias = system.experiment.antialias
        self.dtype = precision.compute_dtype(system.experiment)  # as test accuracies are measured
        self.inputs = Inputs.of(system, task)

    def predict(self, images: Any) -> Prediction:
        """Classifies images.

        Args:
          images: one or a list of paths, `bytes` of files, images of Pillow's in any mode, and uint8 arrays `[h, w]` or
            `[h, w, c]` with 1, 3 or 4 channels; or an array `[n, h, w]` or `[n, h, w, c]`. Of any sizes.

        Raises:
          UserError: what was given are no images.
        """
        return Prediction(self.task, self.classes, softmax(self.logits(self.inputs.read_all(images))))

    def logits(
        self, pixels: UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]]
    ) -> Float[np.ndarray, "n classes"]:
        """The head's outputs, float32, for pixels that are stored as the task's images are.

        Args:
          pixels: with 1 or 3 channels; an array is fastest, a list may hold images of several shapes.
        """
        result = np.empty((len(pixels), len(self.classes)), np.float32)
        for start, stop in batches(len(pixels)):
            result[start:stop] = np.asarray(self.dispatch(pixels[start:stop]))[: stop - start]
        return result

    def dispatch(
        self, pixels: UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]]
    ) -> Float[Array, "padded classes"]:
        """The logits of at most `BATCH_SIZES[-1]` images, without waiting: an array that the device still works on.

        Args:
          pixels: as for `logits`.

        Returns:
          At least as many rows as images; those behind the last are of no use.
        """
        if isinstance(pixels, np.ndarray):  # one program: a dispatch costs as much as a small model's forward pass
            return self.forward(_fill_up(pixels))
        prepared = prepare(pixels, self.image_size, self.antialias, self.inputs.canvas)
        return _forward(self.variant, self.num_blocks, self.dtype, self.params, prepared)

    def forward(self, pixels: UInt8[Array, "n h w c"] | UInt8[np.ndarray, "n h w c"]) -> Float[Array, "n classes"]:
        """The logits of images of one shape, resized and all, without waiting; compiled for this number of them."""
        static = (self.variant, self.num_blocks, self.dtype, self.image_size, self.antialias)
        return _resize_and_forward(*static, self.params, pixels)

    def warm_up(self, shape: tuple[int, int, int], sizes: Sequence[int] = BATCH_SIZES) -> None:
        """Compiles the programs of some batch sizes, for images of one shape, and runs each once."""
        for size in sizes:
            self.dispatch(np.zeros((size, *shape), np.uint8)).block_until_ready()


def softmax(logits: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
    """Probabilities of logits; rows sum to 1."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _loaded(system: RunView, components: DeviceComponents, identity: ComponentId) -> Any:
    """A component on the device.

    Raises:
      CorruptionError: it is damaged or missing; the message names the tasks that need it, which are not all.
    """
    try:
        return components.get(identity)
    except CorruptionError as error:
        system.check_gone_on(task for task in system.models if identity in system.model(task).components.values())
        base = system.components[identity].base
        users = {*system.users(identity), *(system.users(base) if base else ())}
        needed = [task for task in system.models if task in users]
        others = "" if len(needed) == len(system.models) else " All other tasks still predict."
        raise CorruptionError(f"{error.text} It is needed by: {', '.join(needed)}.{others}", error.advice) from error


def batches(count: int) -> Iterator[tuple[int, int]]:
    """Where to cut some images: each part fills more than half of one of `BATCH_SIZES`, or all of the smallest."""
    start = 0
    while start < count:
        left = count - start
        whole = max(size for size in BATCH_SIZES if size <= left)
        part = left if any(left <= size < 2 * left for size in BATCH_SIZES) else whole
        yield start, start + part
        start += part


def padded_size(count: int) -> int:
    """The smallest of `BATCH_SIZES` that holds so many images."""
    return next(size for size in BATCH_SIZES if size >= count)


def prepare(
    pixels: UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_ _ _"]],
    size: int,
    antialias: bool,
    canvas: int,
) -> Float[Array, "padded size size 3"] | Float[np.ndarray, "padded size size 3"]:
    """Images as validation images are prepared, filled up.

    An array has the stored shape of the task's images, which may be larger than the canvas (`?canvas=` of a task): it
    is resized from there, as in training, and its shape is compiled in. Images of a list lie in the corners of boxes as
    large as the canvas, so that one program serves them all, whatever their shapes; larger ones are squashed to it.
    """
    if isinstance(pixels, np.ndarray):
        return _resize(_fill_up(pixels), size, antialias)  # type: ignore[no-any-return]  # of jit
    boxes = np.zeros((padded_size(len(pixels)), canvas, canvas, 3), np.uint8)
    sides = np.ones((2, len(boxes)), np.int32)
    for index, image in enumerate(pixels):
        whole = squash(image, canvas) if max(image.shape[:2]) > canvas else image
        height, width = sides[:, index] = whole.shape[:2]
        boxes[index, :height, :width] = whole
    return _resize_boxes(boxes, *sides, size, antialias)  # type: ignore[no-any-return]  # of jit


def _fill_up(batch: np.ndarray) -> np.ndarray:
    """Fills a batch up, so that few programs are compiled whatever the number of images."""
    padding = padded_size(len(batch)) - len(batch)
    return np.pad(batch, [(0, padding), *[(0, 0)] * 3]) if padding else batch


_resize = jax.jit(augment.prepare, static_argnums=(1, 2))
_resize_boxes = jax.jit(augment.prepare_boxes, static_argnums=(3, 4))


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _resize_and_forward(
    variant: Variant, num_blocks: int, dtype: str, size: int, antialias: bool, params: forward.Params, pixels: Array
) -> Float[Array, "n classes"]:
    images = augment.prepare(pixels, size, antialias)
    return forward.logits(variant, params, images, num_blocks=num_blocks, dtype=dtype)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _forward(
    variant: Variant, num_blocks: int, dtype: str, params: forward.Params, images: Array
) -> Float[Array, "n classes"]:
    return forward.logits(variant, params, images, num_blocks=num_blocks, dtype=dtype)
