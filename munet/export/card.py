"""The model card of an export: a Hugging Face `README.md` with a YAML header.

It says what the model is for, how to use it, how good it is and how sure that is, how images are prepared, what it was
trained on, and where each layer comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from munet import __version__, intervals
from munet.config import Experiment
from munet.data.uris import SCHEMES, parse_uri
from munet.errors import UserError
from munet.evolution.plan import FORGOTTEN
from munet.export.names import markdown_text, yaml_text
from munet.export.portable import PortableModel, Usage
from munet.quality import metric_words
from munet.report.classes import SplitCounts, class_counts
from munet.roots.names import SCHEME as AUGREG
from munet.roots.resolve import DEMO
from munet.system.view import RunView
from munet.text import count, markdown_table, with_interval
from munet.types import Quality, TaskInfo

UNKNOWN = "unknown"  # as Hugging Face has it among its licences


def card(system: RunView, model: PortableModel, format: str, usage: Usage) -> str:
    """The card's text.

    Args:
      system: the run.
      model: what is exported.
      format: in which format.
      usage: what the format's module says.
    """
    return "\n".join(
        [
            *_header(system, model, usage),
            "",
            f"# {markdown_text(model.task)}",
            "",
            usage.lead,
            "",
            f"A ViT ({model.variant.name}, {count(model.num_blocks, 'block')}, {model.num_params:,} parameters, "
            f"{model.image_size}x{model.image_size} pixels) that tells "
            f"{count(len(model.class_names), 'class', 'classes')} apart, evolved by munet {__version__} and "
            f"exported as {format}.",
            *_section("Use it", f"Inside this folder, with an image in `image.png`:\n\n```python\n{usage.example}```"),
            *_section("How good it is", *_measured(system, model)),
            *_section("How images are prepared", *_preparation(model)),
            *_section("Classes", *_classes(system, model)),
            *_section("Data", *_data(system, model)),
            *_section("Where it comes from", *_origin(system, model)),
            "",
        ]
    )


def licence(experiment: Experiment) -> str:
    """Of the root's checkpoint, by Hugging Face's names: that of munet for its own, that of the augreg release."""
    return "apache-2.0" if experiment.root == DEMO or experiment.root.startswith(AUGREG) else UNKNOWN


def _section(title: str, *paragraphs: str) -> list[str]:
    return ["", f"## {title}", *(line for paragraph in paragraphs for line in ("", paragraph))]


def _header(system: RunView, model: PortableModel, usage: Usage) -> list[str]:
    datasets = [info.name for info in _tasks_of(system, model)]
    lines = [
        "---",
        f"license: {licence(system.experiment)}",
        f"library_name: {usage.library}",
        "pipeline_tag: image-classification",
        "tags:",
        *(f"- {tag}" for tag in ("image-classification", "vision-transformer", "munet")),
        "datasets:",
        *(f"- {yaml_text(name)}" for name in datasets),
    ]
    quality = system.model(model.task).test_quality
    if quality is not None:
        lines += [
            "metrics:",
            *(f"- {name}" for name in _metrics(quality)),
            "model-index:",
            f"- name: {yaml_text(model.task)}",
            "  results:",
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {yaml_text(model.task)}",
            f"      type: {yaml_text(_uri(system.task(model.task)))}",
            "      split: test",
            "    metrics:",
        ]
        for name, value in _metrics(quality).items():
            lines += [
                f"    - type: {name}",
                f"      value: {value:.6f}",
                f"      name: {yaml_text(_words(quality, name))}",
            ]
    return [*lines, "---"]


def _metrics(quality: Quality) -> dict[str, float]:
    """Values by Hugging Face's names."""
    values = {"accuracy": quality.accuracy}
    return values if quality.metric == "accuracy" else {**values, quality.metric: quality.value}


def _words(quality: Quality, name: str) -> str:
    low, high = intervals.of_accuracy(quality) if name == "accuracy" else intervals.of_quality(quality)
    return f"test {metric_words(name)}, 95% interval {low:.4f} to {high:.4f}"


def _measured(system: RunView, model: PortableModel) -> Iterable[str]:
    quality = system.model(model.task).test_quality
    if quality is None:
        yield "Its test accuracy was not measured."
        return
    yield (
        f"Test accuracy **{with_interval(quality.accuracy, intervals.of_accuracy(quality))}**: {quality.correct:,} of "
        f"{count(quality.counted, 'image')} right. The 95% interval (Wilson) is what the number of images leaves open."
    )
    if quality.metric != "accuracy":
        value = with_interval(quality.value, intervals.of_quality(quality))
        yield f"Test {metric_words(quality.metric)}, the mean over classes: {value}."
    yield (
        "The test split was looked at once, after the model had been chosen by its validation quality; it decided "
        f"nothing. One run, seed {system.experiment.seed}."
    )


def _preparation(model: PortableModel) -> Iterable[str]:
    size = model.image_size
    smooth = "smoothed where it shrinks" if model.antialias else "without smoothing where it shrinks"
    known = model.value_range
    grey = f", of values where {known.low:g} is black and {known.high:g} white" if known else ""
    steps = [
        f"Turned as its orientation tag says; RGB, transparency composited on white; grey: three equal channels{grey}.",
        _brought(model),
        f"Resized to {size}x{size}, whatever its aspect: bilinear, pixels' centres at halves, {smooth} "
        f"(PyTorch: `interpolate(mode='bilinear', antialias={model.antialias})`).",
        "Scaled from 0..255 to [-1, 1] (mean 0.5 and deviation 0.5 of values in [0, 1]). No crop, nothing else.",
    ]
    yield "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _brought(model: PortableModel) -> str:
    """How an image comes to the shape that the task's own images have."""
    squashed = "whatever its aspect (Pillow, `BILINEAR`, which smooths)"
    if not model.image_shape:
        return (
            f"Larger than {model.canvas} pixels on a side: squashed to {model.canvas}x{model.canvas} first, {squashed}."
        )
    height, width, channels = model.image_shape
    grey = " Grey: colours become their brightness (Pillow, `L`), three times." if channels == 1 else ""
    return f"Brought to {width}x{height} pixels (width x height), as the task's own images, {squashed}.{grey}"


def _classes(system: RunView, model: PortableModel) -> Iterable[str]:
    try:
        test = class_counts(system, model.task).test
    except UserError:  # a damaged entry of the journal: `munet verify` names it
        test = None
    if test is None:
        yield "Counts by class were not recorded. The classes, in the order of the outputs:"
    else:
        yield "In the order of the outputs; of the test split's images of a class those that are right."
    rows = [(markdown_text(name), *_row(test, label)) for label, name in enumerate(model.class_names)]
    yield markdown_table(("class", "output", "right", "images", "accuracy (95% interval)"), rows)


def _row(test: SplitCounts | None, label: int) -> Sequence[str]:
    if test is None or not test.counted[label]:
        return str(label), "-", "0" if test else "-", "-"
    right, images = test.correct[label], test.counted[label]
    return (
        str(label),
        f"{right:,}",
        f"{images:,}",
        with_interval(right / images, intervals.wilson(right / images, images)),
    )


def _data(system: RunView, model: PortableModel) -> Iterable[str]:
    yield (
        "The task, and every other one that has trained a layer of it. A fingerprint is a hash over the data and its "
        "splits; validation images chose the model, test images only measured it."
    )
    head = ("task", "source", "train", "validation", "test", "classes", "fingerprint")
    rows = [
        (
            markdown_text(info.name),
            markdown_text(_uri(info)),
            *(f"{number:,}" for number in (info.num_train, info.num_validation, info.num_test, info.num_classes)),
            f"`{info.fingerprint}`",
        )
        for info in _tasks_of(system, model)
    ]
    yield markdown_table(head, rows)
    if gone := sorted(name for name in _trained(system, model) if name.endswith(f" {FORGOTTEN}")):
        yield "Layers of it were also trained on images of tasks that the run has no more: " + ", ".join(
            markdown_text(name.removesuffix(f" {FORGOTTEN}")) for name in gone
        )


def _origin(system: RunView, model: PortableModel) -> Iterable[str]:
    record, checkpoint = system.model(model.task), system.start.root_checkpoint
    lineage = " from ".join(_name(system, id) for id in system.lineage(model.task))
    yield (
        f"Lineage, by retained models: {lineage}. The root is {markdown_text(str(checkpoint.get('name', '?')))} "
        f"(SHA-256 `{checkpoint.get('sha256', '?')}`), licence: {licence(system.experiment)}."
    )
    yield (
        "Its layers, from input to output. The owner trained a layer last; a hash is over a layer's record and bytes "
        "and its file's name in the work directory. Low-rank updates (`lora_*`) are merged into their blocks here."
    )
    rows = []
    for name, id in record.components.items():
        part = system.components[id]
        others = ", ".join(markdown_text(task) for task in system.users(id) if task != model.task)
        owner = system.trained_last(id)
        rows.append(
            (name, markdown_text(owner) if owner else "the root", f"{part.num_params:,}", others or "-", f"`{id}`")
        )
    yield markdown_table(("layer", "owner", "parameters", "shared with", "hash"), rows)
    settings = ", ".join(f"{name} {value}" for name, value in record.hyperparameters.items())
    yield f"Settings it was trained with: {settings}."


def _name(system: RunView, id: int) -> str:
    if id == system.root.id:
        return "the root"
    task = system.state.models[id].task
    return f"model {id}" + (f" ({markdown_text(task)})" if task else "")


def _tasks_of(system: RunView, model: PortableModel) -> list[TaskInfo]:
    """The task itself, then every other one that trained what the model is made of, in the run's order."""
    trained = _trained(system, model)
    others = [info for info in system.tasks if info.name in trained and info.name != model.task]
    return [system.task(model.task), *others]


def _trained(system: RunView, model: PortableModel) -> set[str]:
    """The tasks that trained what the model is made of, as they are called now."""
    ids = system.state.used_by(system.model(model.task))
    return {task for id in ids for task in system.components[id].cycles}


def _uri(info: TaskInfo) -> str:
    """Where the data are from, without a path of somebody's machine."""
    parsed = parse_uri(info.uri)
    is_path = SCHEMES[parsed.scheme].is_path or parsed.path.startswith(("/", "~", "."))
    return f"{parsed.scheme}:{parsed.name}" if is_path else info.uri
