"""The words in which the displays speak of tasks, children and times; the same on a terminal and in a pipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from decimal import Decimal

from munet.progress.events import (
    Compiling,
    Decided,
    GenerationStarted,
    Measured,
    PhaseEnded,
    PhaseStarted,
    RunStarted,
    TrainingStarted,
)
from munet.quality import metric_words
from munet.text import count, duration, percent
from munet.types import ROOT_MODEL, ChildPlan, ComponentName, CycleQualities, ModelId, Mutation, Verdict

_SCORE = re.compile(r"(?<![\w.])[01]\.\d{4,}(?![\w.])")  # as verdicts write scores


def short_component(name: ComponentName) -> str:
    """A component's name for narrow columns: `encoderblock_1` -> `block 1`."""
    name = re.sub(r"^encoderblock_", "block ", name)
    name = re.sub(r"^residual_adapter_", "adapter ", name)
    name = re.sub(r"^lora_", "LoRA ", name)
    return {"posembed_input": "position", "encoder_norm": "norm"}.get(name, name)


def model_name(model: ModelId) -> str:
    """A model's name for people: `root`, or its number as in `#12`."""
    return "root" if model == ROOT_MODEL else f"#{model}"


def describe_seeds(seeds: Sequence[ModelId], fits: Mapping[ModelId, float], seconds: float) -> str:
    """`seed parents by fit, of 20 models: #12 (71.3 %), root (60.2 %); 4 s`."""
    chosen = ", ".join(f"{model_name(seed)} ({100 * fits[seed]:.1f} %)" for seed in seeds)
    return f"seed parents by fit, of {len(fits)} models: {chosen}; {duration(seconds)}"


def describe_mutations(child: ChildPlan) -> str:
    """A child's mutations in words: `clone block 0, block 1; insert adapter 2; learning_rate 0.01 -> 0.02`.

    What happens by rule (the encoder norm, baselines) is named only where there is nothing else to name.
    """
    if child.is_seed:
        return "seed: head only"
    chosen = [item for item in child.mutations if not item.forced] or list(child.mutations)
    parts = []
    for verb in ("clone", "insert"):
        targets = [short_component(item.target) for item in chosen if item.kind == verb]
        if targets:
            parts.append(f"{verb} {', '.join(targets)}")
    parts += [_change(item) for item in chosen if item.kind in ("num_blocks", "hyperparameter")]
    parts += [item.describe() for item in chosen if item.kind == "compress"]
    return "; ".join(parts) or "no mutation"


def _change(mutation: Mutation) -> str:
    name = mutation.target if mutation.kind == "hyperparameter" else "blocks"
    if not mutation.effective:
        return f"{name} stays {mutation.before}"
    return f"{name} {mutation.before} -> {mutation.after}"


def describe_qualities(training: CycleQualities, best_cycle: int | None = None) -> str:
    """Validation accuracy of each cycle in percent, best one starred: `61.1 *74.4 nan %` (then it diverged)."""
    words = [percent(quality) for quality in training.qualities]
    if training.diverged_at is not None:
        words[training.diverged_at :] = ["nan"] * len(words[training.diverged_at :])
    return " ".join(f"*{word}" if cycle == best_cycle else word for cycle, word in enumerate(words)) + " %"


def describe_verdict(verdict: Verdict) -> str:
    """`kept: 91.20 % > 88.70 % of its parent`; the journal has the scores of the reason as fractions."""
    reason = _SCORE.sub(lambda found: f"{Decimal(found[0]).scaleb(2)} %", verdict.reason)
    return f"{'kept' if verdict.is_kept else 'pruned'}: {reason}"


def short_verdict(verdict: Verdict) -> str:
    """The score and the parent's to beat, if it had one, of a hundred: `91.20 > 88.70 %`, `28.00 %`."""
    if verdict.score is None:
        return "not finite"
    if verdict.parent_score is None:
        return describe_score(verdict.score)
    gap = verdict.score - verdict.parent_score
    digits = 2 if gap == 0 or abs(gap) >= 1e-4 else 4
    relation = ">" if gap > 0 else "=" if gap == 0 else "<"
    return f"{100 * verdict.score:.{digits}f} {relation} {100 * verdict.parent_score:.{digits}f} %"


def describe_score(score: float) -> str:
    """`91.20 %`: a score on the scale of the accuracies that it is made of."""
    return f"{100 * score:.2f} %"


def describe_run(run: RunStarted) -> str:
    """One line about the run's size."""
    text = (
        f"{run.title or 'muNet'} in {run.workdir}: {count(len(run.task_names), 'task')}, "
        f"{count(run.num_task_iterations, 'task iteration')} of {describe_stages(run.stages)}"
    )
    return f"{text}; {count(run.generations_done, 'generation')} done before" if run.generations_done else text


def describe_measuring(what: str) -> str:
    """Said before a dry run measures, which is silent and may take long."""
    return f"Measuring {what}, compiled first: seconds, or minutes where a model is large or the machine is busy ..."


def describe_stages(stages: Sequence[str]) -> str:
    """Equal generations together: `8 generations of 8 children, 5 cycles a child`; others: `explore:8, train:1`."""
    only = set(stages)
    kind, _, size = next(iter(only)).partition(":") if len(only) == 1 else ("", "", "")
    children, _, cycles = size.partition("x")
    if kind not in ("evolve", "replicas") or not cycles:
        return f"{count(len(stages), 'stage')}: {', '.join(stages)}"
    return (
        f"{count(len(stages), 'generation')} of {count(int(children), 'child', 'children')}, "
        f"{count(int(cycles), 'cycle')} a child"
    )


def describe_phase(phase: PhaseStarted, run: RunStarted | None) -> str:
    """`task iteration 1/2, task 2/5: digits (10 classes; 1,437 train, 180 validation, 180 test images)`."""
    position, task = phase.position, phase.task
    iterations = f"/{run.num_task_iterations}" if run else ""
    tasks = f"/{len(run.task_names)}" if run else ""
    # Not the position's index, which counts tasks that the run has forgotten.
    place = run.task_names.index(task.name) if run and task.name in run.task_names else position.task_index
    return (
        f"task iteration {position.task_iteration + 1}{iterations}, task {place + 1}{tasks}: {task.name} "
        f"({task.num_classes:,} classes; {task.num_train:,} train, {task.num_validation:,} validation, "
        f"{task.num_test:,} test images)"
    )


def describe_generation(generation: GenerationStarted, run: RunStarted | None) -> str:
    """`generation 2/4: 4 children, 3 cycles of 11 steps of 128 images, 2 programs`."""
    of = f"/{run.num_generations}" if run else ""
    cycles = f"{count(generation.num_cycles, 'cycle')} of " if generation.num_cycles else ""
    return (
        f"generation {generation.plan.position.generation + 1}{of}: "
        f"{count(len(generation.plan.children), 'child', 'children')}, {cycles}"
        f"{count(generation.steps_per_cycle, 'step')} of {count(generation.batch_size, 'image')}, "
        f"{count(generation.num_programs, 'program')}"
    )


def describe_compiling(event: Compiling, seconds: float) -> str:
    """`compiling programs, 1 of 3 ready, 12 s`."""
    return f"compiling {count(event.total, 'program')}, {event.done} ready, {duration(seconds)}"


def describe_data(mutations: tuple[Mutation, ...]) -> str:
    """What changed in the data settings that a generation shares: `data: crop_area_min 0.05 -> 0.1; flip stays True`.

    "" if nothing fired.
    """
    return f"data: {'; '.join(map(_change, mutations))}" if mutations else ""


def describe_phase_end(event: PhaseEnded) -> str:
    """`digits: model #7 is kept, validation 97.2 %, test 96.1 %, 153,000 parameters, 51,000 accounted`."""
    quality, test = event.model.quality, event.entry.test_quality
    validation = f"validation {percent(quality)} %, " if quality else ""
    plain = "" if test.metric == "accuracy" else f" {metric_words(test.metric)} ({100 * test.accuracy:.1f} % accuracy)"
    return (
        f"{event.entry.task}: model {model_name(event.model.id)} is kept, {validation}"
        f"test {percent(test)} %{plain}, {event.params:,} parameters, "
        f"{event.accounted_params:,.0f} accounted"
    )


def describe_training(training: TrainingStarted) -> str:
    """`Joint fine-tuning in runs/joint: 4 tasks, 600 rounds of 512 images; going on after round 120`."""
    text = (
        f"{training.title} in {training.workdir}: {count(len(training.task_names), 'task')}, "
        f"{count(training.num_rounds, training.unit)} of {count(training.images_per_round, training.example)}"
    )
    return f"{text}; going on after {training.unit} {training.rounds_done:,}" if training.rounds_done else text


def describe_measured(event: Measured, training: TrainingStarted | None) -> str:
    """`step 120 of 600: epoch 1.5, training loss 0.931, validation 71.20% (mean of 4 tasks)`; else its loss."""
    if not event.validation:
        least, most = min(event.losses), max(event.losses)
        of = f" ({least:.3g} to {most:.3g}; {len(event.losses)} replicas)" if len(event.losses) > 1 else ""
        return (
            f"{_round(event.round, training)}: epoch {event.epoch:,.0f}, training loss {event.training_loss:.3g}, "
            f"validation loss {sum(event.losses) / len(event.losses):.3g}{of}"
        )
    values = [quality.value for quality in event.validation.values()]
    means = event.qualities or (sum(values) / len(values),)
    of = f" (mean of {len(values)} tasks)" if len(values) > 1 else ""
    if len(means) > 1:
        of = f" ({min(means):.2%} to {max(means):.2%}; {len(means)} replicas)"
    return (
        f"{_round(event.round, training)}: epoch {event.epoch:.1f}, training loss {event.training_loss:.3f}, "
        f"validation {sum(means) / len(means):.2%}{of}"
    )


def describe_decided(event: Decided, training: TrainingStarted | None) -> str:
    """`round 200 of 600, seed 0: generation 2, mass 0.8`; of lists and the like only how long they are."""
    said = [
        f"{name} {len(value) if isinstance(value, Sized) and not isinstance(value, str) else value}"
        for name, value in event.record.items()
    ]
    return f"{_round(event.round, training)}, seed {event.seed}: {', '.join(said)}"


def _round(number: int, training: TrainingStarted | None) -> str:
    unit = training.unit if training else "round"
    return f"{unit} {number:,}" + (f" of {training.num_rounds:,}" if training else "")


def describe_rate(images_per_second: float | None, seconds_left: float | None, example: str = "image") -> str:
    """`5,600 images/s, 3 min 05 s left`; leaves out what is not known."""
    parts = [] if images_per_second is None else [f"{images_per_second:,.0f} {example}s/s"]
    parts += [] if seconds_left is None else [f"{duration(seconds_left)} left"]
    return ", ".join(parts)
