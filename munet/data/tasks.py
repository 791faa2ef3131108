"""Tasks: labelled image sets with train, validation and test splits, by URI."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

from munet.data.open_settings import OpenSettings
from munet.data.splits import SPLITS, Source, Split, SplitName, Splits, check_sizes
from munet.data.tfds.missing_sets import MissingSetError, how_to_get
from munet.data.uris import open_source, parse_uri
from munet.errors import DataError, HygieneError, nearest
from munet.text import is_text, printable
from munet.types import Objective, TaskInfo, TaskName

__all__ = ["SPLITS", "Split", "SplitName", "Task", "load_task", "load_tasks", "open_task"]

_WORDS: dict[Objective, str] = {  # what tasks have, by objective
    "": "images and their classes",
    "value": "no classes, but a value for each example",
    "next_token": "no images, but a text whose next symbol is predicted",
}


@dataclass
class Task:
    """A task and its images, which are decoded when a split is first asked for.

    Attributes:
      info: what the journal keeps of it.
      source: where the splits come from.
      num_tested: how often the test split was handed out.
    """

    info: TaskInfo
    source: Source = field(repr=False)
    num_tested: int = field(default=0, init=False, compare=False)
    _is_testing: bool = field(default=False, init=False, repr=False, compare=False)

    @property
    def uri(self) -> str:
        """The URI that it was opened by."""
        return self.info.uri

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of the data, a sentence each."""
        return self.source.notes

    @cached_property
    def _splits(self) -> Splits:
        return self.source.load()

    def split(self, name: SplitName) -> Split:
        """One split; the first call decodes all three, or reads them from the cache.

        Raises:
          DataError: the images cannot be decoded, or labels are out of range.
          HygieneError: the test split, outside of `testing`.
          ValueError: there is no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"There is no split {name!r}. {nearest(name, SPLITS)}")
        if name == "test":
            if not self._is_testing:
                raise HygieneError(
                    f"The test split of {self.info.name!r} was asked for outside of `with task.testing():`. It is "
                    "measured once a phase has ended, and decides nothing; use the validation split."
                )
            self.num_tested += 1
        return self._splits[name]

    @contextmanager
    def testing(self) -> Iterator[None]:
        """Opens the test split while the block lasts: every place that may look at test images says so.

        They are the end of a phase, `munet verify --tests`, and whoever reports on finished models or on the data
        itself. Nothing that is learnt inside may decide anything.
        """
        before, self._is_testing = self._is_testing, True
        try:
            yield
        finally:
            self._is_testing = before

    def release(self) -> None:
        """Drops the decoded images from memory; the next `split` decodes again, or reads them from the cache."""
        self.__dict__.pop("_splits", None)

    @property
    def noted(self) -> TaskInfo:
        """What the journal is to keep, with the shape of the images where it is known by now."""
        known = self.__dict__.get("image_shape") or self.source.image_shape or ()
        return replace(self.info, image_shape=known)

    @cached_property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels (1 if the whole set is grey, else 3) of every image of the task."""
        height, width, channels = self.split("train").images.shape[1:]
        return height, width, channels


def load_task(
    uri: str,
    *,
    data_dir: str = "",
    cache_dir: str = "",
    seed: int = 0,
    max_image_size: int = 64,
    max_bad_images: float = 0.01,
) -> Task:
    """Opens one task; with the settings of a run: `open_task`.

    Args:
      uri: e.g. `tfds:mnist`, `npz:/path.npz`, `builtin:glyphs/greek`; see `munet/data/uris.py`.
      data_dir, cache_dir, seed, max_image_size, max_bad_images: as in `OpenSettings`.

    Raises:
      DataError: missing, unreadable, or no classification task: one class, an empty split, labels out of range.
    """
    return open_task(uri, OpenSettings(data_dir, cache_dir, seed, max_image_size, max_bad_images))


def open_task(uri: str, settings: OpenSettings) -> Task:
    """Opens a task.

    Raises:
      DataError: as `load_task`.
    """
    parsed = parse_uri(uri)
    source = open_source(parsed, settings)
    if source.objective not in settings.objectives:
        raise DataError(
            f"{uri}: it has {_WORDS[source.objective]}. `munet train --config=muir:...` learns such tasks; everything "
            "else takes images and their classes, e.g. builtin:digits."
        )
    check_sizes(uri, source.num_examples)
    if not source.objective and len(source.class_names) < 2:
        raise DataError(f"{uri}: it has {len(source.class_names)} class, a task needs at least 2.")
    _check_names(uri, (parsed.name, *source.class_names))
    if source.objective != "next_token":  # words may differ by an encoding that nobody sees, and are other symbols
        _check_alike(uri, source.class_names)
    info = TaskInfo(
        name=parsed.name,
        uri=uri,
        fingerprint=source.fingerprint,
        class_names=source.class_names,
        num_train=source.num_examples["train"],
        num_validation=source.num_examples["validation"],
        num_test=source.num_examples["test"],
        objective=source.objective,
    )
    return Task(info, source)


def _check_names(uri: str, names: Sequence[str]) -> None:
    """Names of tasks and classes go into files of text.

    Raises:
      DataError: one is not UTF-8, which a file system allows.
    """
    if others := [name for name in names if not is_text(name)]:
        raise DataError(
            f"{printable(uri)}: {printable(others[0])!s} is not UTF-8, and names of tasks and classes must be.",
            "Rename it; `convmv -r -f latin1 -t utf8 FOLDER` shows what it would be called, --notest does it.",
        )


def _check_alike(uri: str, class_names: Sequence[str]) -> None:
    """Refuses two classes that nobody can tell apart by their names."""
    known: dict[str, int] = {}
    for number, name in enumerate(class_names):
        shown = unicodedata.normalize("NFC", name).strip()
        before = class_names[known.setdefault(shown, number)]
        if before != name:
            raise DataError(
                f"{uri}: two classes are called {shown!r} but for blanks around it or its encoding: {before!a} "
                f"and {name!a}. Give both one name, or two that differ."
            )
        if known[shown] != number:
            raise DataError(
                f"{uri}: two classes are called {name!r}, numbers {known[shown]} and {number}. Give them names that "
                "differ, or their images one label."
            )


def load_tasks(uris: Sequence[str], settings: OpenSettings) -> list[Task]:
    """Opens several tasks, in order.

    Raises:
      DataError: all problems in one message; two tasks of one name are one of them.
    """
    tasks: list[Task] = []
    problems: list[DataError] = []
    first_of_name: dict[TaskName, str] = {}
    for uri in uris:
        try:
            name = parse_uri(uri).name
            if name in first_of_name:
                raise DataError(
                    f"{uri}: a task called {name!r} is there already ({first_of_name[name]}). Give it another name: "
                    f"{name}2={uri.removeprefix(f'{name}=')}."
                )
            first_of_name[name] = uri
            tasks.append(open_task(uri, settings))
        except DataError as error:
            problems.append(error)
    if not uris:
        problems.append(DataError("No tasks are given: name some, e.g. builtin:digits tfds:mnist."))
    if problems:
        raise problems[0] if len(problems) == 1 else DataError(_together(problems, len(uris)))
    return tasks


def _together(problems: Sequence[DataError], num_tasks: int) -> str:
    """Everything that is wrong with some tasks, and one way to get all the sets that are missing."""
    missing = [error for error in problems if isinstance(error, MissingSetError)]
    lines = [f"{len(problems)} of {num_tasks} tasks cannot be used:"]
    texts = [error.short if isinstance(error, MissingSetError) else str(error) for error in problems]
    lines += [f"  - {text}" for text in _once(texts)]
    return "\n".join([*lines, *([how_to_get(missing)] if missing else [])])


def _once(texts: Sequence[str]) -> list[str]:
    """What is wrong with several tasks in the same words, such as one file of all that is missing, is said once."""
    alike: dict[str, list[str]] = {}
    for text in texts:
        uri, _, problem = text.partition(": ")
        alike.setdefault(problem or text, []).append(uri)
    return [
        (f"{uris[0]} and {len(uris) - 1} more: {problem}" if len(uris) > 1 else f"{uris[0]}: {problem}")
        if problem != uris[0]  # no colon in it
        else problem
        for problem, uris in alike.items()
    ]
