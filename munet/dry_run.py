"""`munet evolve --dry_run`: phases, steps, memory and time of a run, from one measured step; nothing is written."""

from __future__ import annotations

from dataclasses import replace

from munet import architecture
from munet.data import loader
from munet.data.tasks import Task
from munet.evolution import schedule
from munet.preparation import Setup, baselines
from munet.training import grouping, signature, timing
from munet.training.grouping import CostModel
from munet.training.signature import INPUT_STAGE, Signature

_MIB = 1 << 20


def describe(setup: Setup) -> list[str]:
    """Lines for people: what the run will do and about how long it will take.

    The step is measured on the largest task with every layer trained and no adapters; real children mostly train less.
    """
    experiment = setup.config.experiment
    phases = len(setup.tasks) * schedule.num_task_iterations(experiment)
    generations = schedule.num_generations(experiment)
    children = experiment.children_per_generation
    cycles = schedule.cycles_per_child(experiment)
    lines = [
        f"{phases} phases ({len(setup.tasks)} tasks x {schedule.num_task_iterations(experiment)} iterations) of "
        f"{generations} generations of {children} children of {cycles} cycles",
        f"{setup.total_image_steps:,} training images in all",
    ]
    compared = [replace(setup, config=config) for config in baselines(setup.config)]
    if compared:
        kinds = ", ".join(one.config.experiment.baseline.kind for one in compared)
        also = sum(one.total_image_steps for one in compared)
        lines.append(f"{also:,} more for the baselines to compare with: {kinds}")
    for task in setup.tasks:
        info = task.info
        batch = loader.effective_batch_size(info.num_train, experiment)
        steps = loader.steps_per_cycle(info.num_train, experiment)
        lines.append(
            f"  {info.name}: {info.num_classes} classes, {info.num_train:,} training images; a cycle is {steps} "
            f"steps of {batch}, a phase {steps * cycles * children * generations:,} child-steps"
        )
    largest = max(setup.tasks, key=lambda task: loader.effective_batch_size(task.info.num_train, experiment))
    program = _full_training(setup, largest)
    measured = timing.measure(program, setup.layout, clip_norm=experiment.clip_norm)
    devices = len(setup.layout.devices)
    images = sum(one.total_image_steps for one in (setup, *compared))
    hours = images / program.batch_size * measured.step / min(devices, children) / 3600
    where = f"{devices} device(s){', baselines included,' if compared else ''}"
    lines += [
        f"measured on {setup.layout.devices[0].device_kind}: {measured.step * 1000:.1f} ms a step of "
        f"{program.batch_size} with every layer trained, {measured.compilation:.0f} s to compile",
        f"about {memory_bytes(program) / _MIB:.0f} MiB a child on its device, "
        f"{data_bytes(setup) / _MIB:.0f} MiB of data",
        f"about {_duration(hours)} on {where} if every child trained every layer, without compilation; "
        f"head-only children take {_head_only_share(program, setup.layout.cost_model):.0%} of such a step",
    ]
    return lines


def memory_bytes(program: Signature) -> int:
    """Bytes that one child in training takes, estimated.

    Parameters and their best version, gradients (float32), momentum (bfloat16), and what the backward pass keeps of a
    batch: about ten values of the width and two of the MLP's width for each token and trained block.
    """
    variant = architecture.get_variant(program.variant)
    params = sum(
        architecture.num_params(
            variant, name, image_size=program.image_size, adapter_dim=program.adapter_dim, num_classes=program.head_size
        )
        for name in program.names
    )
    tokens = program.batch_size * variant.num_tokens(program.image_size)
    trained = program.num_blocks - max(program.first_trainable, 0)
    kept = tokens * (10 * variant.width + 2 * variant.mlp_dim) * trained
    return int(params * (3 * 4 + 2) + kept * 4)


def data_bytes(setup: Setup) -> int:
    """Bytes of the largest task's training images on the device, and of one block of batches."""
    sizes = []
    for task in setup.tasks:
        height, width, channels = task.image_shape
        sizes.append(task.info.num_train * height * width * channels)
    return max(sizes) + setup.config.runtime.block_megabytes * 1_000_000


def _full_training(setup: Setup, task: Task) -> Signature:
    experiment = setup.config.experiment
    return Signature(
        variant=experiment.variant,
        num_blocks=experiment.num_blocks,
        first_trainable=INPUT_STAGE,
        adapter_dim=0,
        image_size=experiment.defaults.image_size,
        batch_size=loader.effective_batch_size(task.info.num_train, experiment),
        head_size=signature.head_size(task.info.num_classes),
    )


def _head_only_share(program: Signature, model: CostModel) -> float:
    head_only = replace(program, first_trainable=program.num_blocks)
    return grouping.step_seconds(head_only, model) / grouping.step_seconds(program, model)


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes"
