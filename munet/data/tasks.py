"""Tasks: labelled image sets with train, validation and test splits, by URI (spec section 7; DESIGN section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from munet.data.obtaining import MissingSetError, how_to_get
from munet.data.sources import open_source, parse_uri
from munet.data.splits import SPLITS, Source, Split, SplitName, Splits, check_sizes
from munet.errors import DataError, HygieneError, nearest
from munet.types import TaskInfo, TaskName

__all__ = ["SPLITS", "Split", "SplitName", "Task", "load_task", "load_tasks"]


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
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels (1 if the whole set is grey, else 3) of every image of the task."""
        height, width, channels = self.split("train").images.shape[1:]
        return height, width, channels


def load_task(uri: str, *, data_dir: str = "", cache_dir: str = "", seed: int = 0, max_image_size: int = 64) -> Task:
    """Opens a task.

    Args:
      uri: e.g. `tfds:mnist`, `npz:/path.npz`, `builtin:glyphs/greek`; see `munet/data/sources.py`.
      data_dir: prepared TFDS data; "": `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
      cache_dir: decoded data; "": `$MUNET_CACHE_DIR`, else `~/.cache/munet`; "off": none.
      seed: of the 80/10/10 split of npz and built-in sets.
      max_image_size: the largest image size (pixels on a side) a model may ask for. Images of varying size, or larger
        than twice this, are squashed to a square of twice this.

    Raises:
      DataError: missing, unreadable, or no classification task: one class, an empty split, labels out of range.
    """
    parsed = parse_uri(uri)
    source = open_source(parsed, data_dir=data_dir, cache_dir=cache_dir, seed=seed, canvas=2 * max_image_size)
    check_sizes(uri, source.num_examples)
    if len(source.class_names) < 2:
        raise DataError(f"{uri}: it has {len(source.class_names)} class, a task needs at least 2.")
    info = TaskInfo(
        name=parsed.name,
        uri=uri,
        fingerprint=source.fingerprint,
        class_names=source.class_names,
        num_train=source.num_examples["train"],
        num_validation=source.num_examples["validation"],
        num_test=source.num_examples["test"],
    )
    return Task(info, source)


def load_tasks(
    uris: Sequence[str], *, data_dir: str = "", cache_dir: str = "", seed: int = 0, max_image_size: int = 64
) -> list[Task]:
    """Opens several tasks, in order; arguments as for `load_task`.

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
                raise DataError(f"{uri}: a task called {name!r} is there already ({first_of_name[name]}).")
            first_of_name[name] = uri
            tasks.append(
                load_task(uri, data_dir=data_dir, cache_dir=cache_dir, seed=seed, max_image_size=max_image_size)
            )
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
    lines += [f"  - {error.short if isinstance(error, MissingSetError) else error}" for error in problems]
    return "\n".join([*lines, *([how_to_get(missing)] if missing else [])])
