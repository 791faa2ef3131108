"""A pre-training made ready for the trainer: the data of all tasks as one stream; at the end a root and its card."""

from __future__ import annotations

import functools
import hashlib
import io

from munet.config import to_json
from munet.config.pretrain import PretrainConfig
from munet.data.splits import Split
from munet.data.tasks import Task
from munet.errors import ConfigError
from munet.joint.job import Free, Job, Words
from munet.joint.length import Length
from munet.joint.preparation import Say, check_shared, open_inputs
from munet.joint.records import PretrainResult
from munet.joint.rounds import Stream
from munet.joint.run import Finished
from munet.joint.workdir import PRETRAIN, Workdir
from munet.methods.pretraining import card, examples
from munet.methods.pretraining import recipe as recipes
from munet.methods.pretraining.learner import STREAM, Pretraining
from munet.text import count
from munet.training.batches.stream import Resize
from munet.vit.activations import kept_bytes
from munet.vit.architecture import HEAD, get_variant
from munet.vit.augreg import save_augreg


def prepare(config: PretrainConfig, say: Say = lambda _: None) -> Job:
    """Opens and decodes the data, and finds the devices; nothing is written.

    Args:
      config: validated settings.
      say: told about work that takes long, and what the tasks have to say of themselves, a line each time.

    Raises:
      DataError: data are missing or cannot be used; of all tasks in one message.
      ConfigError, UserError: settings that do not fit the data or the devices.
    """
    recipe, runtime = config.experiment, config.runtime
    opened = open_inputs(config, say, stream=False)
    merged = examples.merge(opened.tasks)
    for task in opened.tasks:
        for note in task.notes:
            say(f"{task.uri}: {note}")
    num_images = len(merged.labels)
    height, width, channels = merged.images.shape[1:]
    if recipe.pad_pixels >= min(height, width):
        raise ConfigError(
            [
                f"experiment.pad_pixels = {recipe.pad_pixels}: the images have {height} x {width} pixels, of which at "
                f"most {min(height, width) - 1} can be reflected at an edge."
            ]
        )
    batch_size, steps = recipes.batch_size(recipe, num_images), recipes.num_steps(recipe, num_images)
    check_shared(batch_size, recipe.batch_size, num_images, len(opened.layout.devices))
    infos = tuple(task.info for task in opened.tasks)

    def shifted(task: Task) -> Split:
        return examples.shifted(task.split("test"), merged.offsets[task.info.name])

    path, purposes = recipes.rng_path, recipes.PURPOSES
    stream = Stream(STREAM, merged.images, merged.labels, batch_size, path, purposes, is_hashed=True)
    return Job(
        kind=PRETRAIN,
        learner=Pretraining(recipe, tuple(info.name for info in infos), merged.num_classes, steps),
        streams=(stream,),
        tasks=opened.tasks,
        validation=merged.validation,
        tested=shifted,
        resize={info.name: Resize(recipe.image_size, recipe.antialias) for info in infos},
        seeds=(recipe.seed,),
        length=Length(steps, runtime.validate_every or -(-num_images // batch_size)),
        keeps_best="",
        free=Free(runtime.checkpoint_minutes, runtime.max_hours),
        layout=opened.layout,
        beginning=opened.beginning(to_json(recipe)),
        words=Words(
            title=f"Pre-training of {card.file_name(recipe)}",
            picture=f"Pre-training of {card.file_name(recipe)}",
            headline=f"{num_images:,} training images of {merged.num_classes:,} classes from "
            f"{count(len(infos), 'task')}; {count(steps, 'step')} of {batch_size:,} on "
            f"{count(len(opened.layout.devices), f'{opened.layout.devices[0].platform} device')}",
            summary=(
                f"{num_images:,} training images of {height}x{width}x{channels}, {merged.num_classes:,} classes; "
                f"{sum(map(len, merged.validation.values())):,} validation images",
                *(f"  {one.name}: {one.num_classes:,} classes, {one.num_train:,} training images" for one in infos),
                f"{count(steps, 'step')} of {batch_size:,} ({steps * batch_size / num_images:.1f} epochs) of "
                f"{recipe.variant} with {count(recipe.num_blocks, 'block')} at {recipe.image_size} pixels",
            ),
            advice=f"Lower experiment.learning_rate (now {recipe.learning_rate:g}), or raise experiment.warmup_ratio "
            f"(now {recipe.warmup_ratio:g})",
            unit="step",
        ),
        publish=functools.partial(_publish, config),
        has_one_head=True,
        activation_bytes=functools.partial(
            kept_bytes, get_variant(recipe.variant), recipe.image_size, recipe.num_blocks, batch_size
        ),
    )


def _publish(config: PretrainConfig, place: Workdir, finished: Finished) -> PretrainResult:
    """The root as one file, and its card."""
    job, test = finished.job, finished.test[0]
    components = {one.name: one.arrays for one in finished.components[0]}
    sizes = {name: sum(array.size for array in arrays.values()) for name, arrays in components.items()}
    if not config.runtime.keep_head:
        del components[HEAD]
    file = io.BytesIO()
    save_augreg(file, components)
    result = PretrainResult(
        file=card.file_name(config.experiment),
        sha256=hashlib.sha256(file.getbuffer()).hexdigest(),
        test={name: one.quality for name, one in test.items()},
        num_params=sum(sizes.values()) - sizes[HEAD],
        head_params=sizes[HEAD],
        num_images=job.num_images,
        num_steps=job.length.total,
        seconds=finished.seconds,
    )
    text = card.card(config, [task.info for task in job.tasks], result, finished.command, job.layout.describe())
    place.finish(result, {result.file: file.getvalue(), f"{result.file.removesuffix('.npz')}.md": text.encode()})
    return result
