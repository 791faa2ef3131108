"""`muir:PATH.npz?task=7&noisy=true`: one of many tasks of values that lie in one file, as MUiR's synthetic set does.

The file holds train_X (tasks, examples, inputs), train_Y (tasks, examples), test_X and test_Y, and for `noisy=true`
noisy_train_Y and noisy_test_Y beside the same inputs. Of 15 training examples the five validate that the authors took,
the same of every task; of another number a third, the last ones.
"""

from __future__ import annotations

import functools
import hashlib
import zipfile
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from munet.data import places
from munet.data.open_settings import OpenSettings, TaskUri
from munet.data.splits import Source, Split
from munet.errors import DataError, nearest
from munet.npz_headers import BROKEN, header_of

_AUTHORS_VALIDATION = {15: (1, 3, 8, 6, 14)}  # by training examples; NumPy's old generator, seed 301
_MOST_BYTES = 1 << 30  # of a file of numbers; a larger one is a mistake

Arrays = Mapping[str, Float[np.ndarray, "..."]]


def open_muir(source: TaskUri, settings: OpenSettings) -> Source:
    """Opens one task.

    Raises:
      DataError: the file is missing, foreign or damaged, there is no such task, or its numbers are not finite.
    """
    uri = source.text
    if unknown := [name for name in source.options if name not in ("task", "noisy")]:
        raise DataError(f"{uri}: there is no option {unknown[0]!r}. {nearest(unknown[0], ('task', 'noisy'))}")
    noisy = source.options.get("noisy", "false")
    if noisy not in ("true", "false"):
        raise DataError(f"{uri}: noisy={noisy}: expected true or false.")
    path = places.file_of_task(source, settings, "*.npz", ("task", "noisy"))
    prefix = "noisy_" if noisy == "true" else ""
    names = ("train_X", f"{prefix}train_Y", "test_X", f"{prefix}test_Y")
    try:
        arrays = _read(str(path), path.stat().st_mtime_ns, names)
    except _Unusable as problem:
        raise DataError(f"{uri}: {path} {problem}") from problem
    number = _number(uri, source.options.get("task", ""), len(arrays[names[0]]))
    inputs, targets, test_inputs, test_targets = (arrays[name][number].astype(np.float32) for name in names)
    for name, values in zip(names, (inputs, targets, test_inputs, test_targets), strict=True):
        if not np.isfinite(values).all():
            raise DataError(f"{uri}: {name} of task {number} has values that are not finite; mend or remove them.")
    held = _held_out(len(inputs))
    kept = np.setdiff1d(np.arange(len(inputs)), held)
    splits = {
        "train": Split(inputs[kept], targets[kept]),
        "validation": Split(inputs[held], targets[held]),
        "test": Split(test_inputs, test_targets),
    }
    digest = hashlib.sha256(b"".join(part.images.tobytes() + part.labels.tobytes() for part in splits.values()))  # type: ignore[union-attr]  # arrays
    return Source(
        class_names=(),
        num_examples={name: len(split) for name, split in splits.items()},  # type: ignore[misc]  # split names
        fingerprint=digest.hexdigest(),
        load=lambda: splits,  # type: ignore[arg-type, return-value]  # split names
        num_bytes=path.stat().st_size,
        objective="value",
    )


class _Unusable(Exception):
    """What is wrong with a file, in words that follow its path."""


@functools.lru_cache(maxsize=4)  # thirty tasks lie in one file
def _read(path: str, modified: int, names: tuple[str, ...]) -> Arrays:  # noqa: ARG001  # a changed file is read again
    """The arrays, checked against each other before any of them is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in names:
                if name not in members:
                    raise _Unusable(f"has no array {name!r}. {nearest(name, members)}")
            headers = {name: header_of(archive, members[name]) for name in names}
            _check({name: (header.shape, header.dtype, header.num_bytes) for name, header in headers.items()}, names)
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in names}
    except BROKEN as error:
        raise _Unusable(f"cannot be read as npz: {error} Expected numpy.savez(path, train_X=..., ...).") from error


def _check(found: Mapping[str, tuple[tuple[int, ...], np.dtype[np.generic], int]], names: tuple[str, ...]) -> None:
    for name, (shape, dtype, num_bytes) in found.items():
        if dtype.kind not in "fiu":
            raise _Unusable(f"holds {name} as {dtype}; expected numbers.")
        wanted = 3 if name.endswith("_X") else 2
        if len(shape) != wanted or num_bytes > _MOST_BYTES:
            what = "(tasks, examples, inputs)" if wanted == 3 else "(tasks, examples)"
            raise _Unusable(f"holds {name} of shape {list(shape)}; expected {what}, of a gigabyte at most.")
    for inputs, targets in (names[:2], names[2:]):
        if found[inputs][0][:2] != found[targets][0]:
            raise _Unusable(
                f"holds {inputs} of shape {list(found[inputs][0])} and {targets} of {list(found[targets][0])}: the "
                "numbers of tasks and of examples must agree."
            )
    train, test = found[names[0]][0], found[names[2]][0]
    if (train[0], train[2]) != (test[0], test[2]) or train[1] < 3 or test[1] < 1:
        raise _Unusable(
            f"holds {names[0]} of shape {list(train)} and {names[2]} of {list(test)}: expected as many tasks and "
            "inputs, three training examples and one test example at least."
        )


def _number(uri: str, text: str, num_tasks: int) -> int:
    if text.isdecimal() and int(text) < num_tasks:
        return int(text)
    given = f"task={text}" if text else "no task is named"
    raise DataError(f"{uri}: {given}: expected 0 to {num_tasks - 1}, as in {uri.partition('?')[0]}?task=0.")


def _held_out(count: int) -> np.ndarray:
    """Training examples that validate."""
    return np.array(_AUTHORS_VALIDATION.get(count) or range(count - count // 3, count))
