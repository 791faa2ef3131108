"""What arrays a file of `dna:` may have, told by their headers alone: nothing is read before all of them fit.

A file has whole `windows`, or one `sequence` and the `positions` of windows in it, because windows of neighbouring
positions repeat each other: 30 million of 201 letters are 6 GB, their sequence 30 MB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from munet.data.splits import SPLITS, SplitName
from munet.errors import nearest
from munet.npz_headers import ArrayHeader
from munet.text import byte_size

SYMBOLS = "0 to 4 for N, A, C, G, T"
EXPECTED = (
    "Expected numpy.savez(path, sequence=uint8, positions=int, targets=float) or (path, windows=uint8, targets=float), "
    "letters as 0 to 4 for N, A, C, G, T; docs/howto/muir.md shows how."
)
_CODES = "codes = numpy.zeros(256, numpy.uint8); codes[list(b'ACGTacgt')] = [1, 2, 3, 4] * 2"
_SHAPES = {"windows": "(n, length)", "positions": "(n)", "targets": "(n)", "sequence": "(letters)"}


class UnusableError(Exception):
    """What is wrong with a file, in words that follow its path."""


@dataclass(frozen=True)
class Layout:
    """Which arrays a file has.

    Attributes:
      windows: what says the windows: `windows` or `positions`.
      splits: those that have arrays of their own; training has, the others may.
    """

    windows: str
    splits: tuple[SplitName, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all arrays that are read."""
        shared = ("sequence",) if self.windows == "positions" else ()
        return shared + tuple(name_of(split, kind) for split in self.splits for kind in (self.windows, "targets"))


def name_of(split: SplitName, kind: str) -> str:
    """The name of an array of a split: `targets` of training, `validation_targets`."""
    return kind if split == "train" else f"{split}_{kind}"


def layout_of(names: Collection[str]) -> Layout:
    """Which form a file with arrays of these names has, and which splits.

    Raises:
      UnusableError: an array is missing, or those of both forms are there.
    """
    has_windows, has_sequence = "windows" in names, "sequence" in names
    if has_windows and has_sequence:
        raise UnusableError("has both windows and a sequence; expected one of them. Remove the other.")
    if not has_windows and not has_sequence:
        near = nearest("windows", names, listed="It has")
        raise UnusableError(f"has neither an array 'windows' nor 'sequence'. {near} {EXPECTED}")
    windows, other = ("windows", "positions") if has_windows else ("positions", "windows")
    splits: list[SplitName] = []
    for split in SPLITS:
        wanted = [name_of(split, kind) for kind in (windows, "targets")]
        there = [name for name in wanted if name in names]
        if not there and name_of(split, other) in names:
            raise UnusableError(
                f"has {name_of(split, other)!r} beside {'windows' if has_windows else 'a sequence'}: give "
                f"{wanted[0]!r} and {wanted[1]!r}."
            )
        if split == "train" or there:
            if missing := [name for name in wanted if name not in names]:
                raise UnusableError(f"has no array {missing[0]!r}. {nearest(missing[0], names, listed='It has')}")
            splits.append(split)
    return Layout(windows, tuple(splits))


def check(layout: Layout, headers: Mapping[str, ArrayHeader], length: int, memory: float) -> None:
    """Compares what headers say with each other and with the memory.

    Args:
      layout: of the file.
      headers: of the arrays that are read.
      length: letters of a window that is cut from a sequence.
      memory: bytes that windows and arrays may take together.

    Raises:
      UnusableError: what does not fit.
    """
    for problem in _problems(layout, headers):
        raise UnusableError(problem)
    if layout.windows == "windows":
        length = headers["windows"].shape[1]
    number = sum(headers[name_of(split, layout.windows)].shape[0] for split in layout.splits)
    taken = sum(header.num_bytes for header in headers.values())
    taken += number * length if layout.windows == "positions" else 0
    if taken > memory:
        raise UnusableError(
            f"has {number:,} windows of {length:,} letters, which take {byte_size(taken)} of the memory with their "
            f"targets; a third of this machine's is {byte_size(memory)}, because a CPU that trains holds them twice. "
            f"Store fewer windows, or shorter ones{'' if layout.windows == 'windows' else ' (?length=)'}."
        )


def _problems(layout: Layout, headers: Mapping[str, ArrayHeader]) -> Iterator[str]:
    for name, header in headers.items():
        kind = name.rpartition("_")[2]
        yield from _of_dtype(name, kind, header)
        rank = 2 if kind == "windows" else 1
        if len(header.shape) != rank:
            yield f"holds {name} of shape {list(header.shape)}; expected {_SHAPES[kind]}."
        elif not all(header.shape):
            yield f"holds {name} of shape {list(header.shape)}: it is empty. Leave it out, or store some."
    for split in layout.splits:
        windows, targets = (headers[name_of(split, kind)] for kind in (layout.windows, "targets"))
        if windows.shape[0] != targets.shape[0]:
            yield (
                f"holds {windows.shape[0]:,} {name_of(split, layout.windows)} and {targets.shape[0]:,} "
                f"{name_of(split, 'targets')}: every window needs one target."
            )
        if layout.windows == "windows" and windows.shape[1] != headers["windows"].shape[1]:
            yield (
                f"holds windows of {headers['windows'].shape[1]:,} letters and {name_of(split, 'windows')} of "
                f"{windows.shape[1]:,}: all need one length."
            )


def _of_dtype(name: str, kind: str, header: ArrayHeader) -> Iterator[str]:
    dtype = header.dtype
    if kind in ("windows", "sequence"):
        if dtype.kind in "SU":
            yield f"holds {name} as letters ({dtype.str}); expected uint8 numbers {SYMBOLS}. {conversion(name, dtype)}"
        elif dtype != np.uint8:
            yield f"holds {name} as {dtype}; expected uint8 numbers {SYMBOLS}: {name}.astype(numpy.uint8)."
    elif kind == "positions" and dtype.kind not in "iu":
        yield f"holds {name} as {dtype}; expected integers: the middle of each window, from 0."
    elif kind == "targets" and dtype.kind not in "fiu":
        yield f"holds {name} as {dtype}; expected numbers, such as float32."


def conversion(name: str, dtype: np.dtype[np.generic]) -> str:
    """How an array of letters becomes one of numbers, in NumPy: of their ASCII codes, or of texts of any length."""
    letters = name
    if dtype != np.uint8:
        letters = f"numpy.array({name}, 'S', ndmin=1).view(numpy.uint8)"
        if name.endswith("windows"):
            letters += f".reshape(len({name}), -1)"
    return f"To convert them: {_CODES}; codes[{letters}]."
