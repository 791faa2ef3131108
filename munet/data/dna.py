"""`dna:PATH.npz`: windows of nucleotides with a measured number each, such as how strongly something binds there.

`dna:crispr.npz?length=201`: the file has a `sequence` (numbers 0 to 4 for N, A, C, G, T), `positions` in it and
`targets`. Around each position a window of an odd `length` is cut; beyond the ends of the sequence letters are N, which
means unknown. Or the file has whole `windows` (n, length) and `targets`.

Further splits are `validation_windows` (or `validation_positions`) and `validation_targets`, and `test_...` likewise.
Those that are missing are the last of the windows, a twentieth each, in the file's order. Images are drawn by hash;
windows are not, because those of neighbouring positions have all letters but one in common: nearly every validation
window would have its like in training. Contiguous pieces overlap at their borders only.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from munet import npz_arrays
from munet.data import dna_windows, places
from munet.data.dna_arrays import EXPECTED, Layout, UnusableError, check, layout_of, name_of
from munet.data.dna_windows import Targets
from munet.data.open_settings import OpenSettings, TaskUri, host_memory
from munet.data.splits import SPLITS, Source, Split, SplitName
from munet.errors import DataError, nearest
from munet.npz_headers import BROKEN, header_of
from munet.text import byte_size, count, printable

_LENGTH, _LONGEST = 201, 99_999  # letters of a window that is cut
_SHARE = 20  # of the windows, the last 1/20 become each split that is missing
_MEMORY_SHARE = 1 / 3  # that arrays and windows may take: a CPU that trains holds them twice
_LARGE = 1 << 30  # bytes of windows from which on it is said what they take
_OVERLAP = 0.05  # share of a split's windows that may share letters with training before it is said
_FORMAT = 1  # count up when other windows or splits are made of a file
_ROWS = 1 << 16  # that are hashed at a time

Arrays = Mapping[str, np.ndarray]
Parts = Mapping[SplitName, tuple[np.ndarray, Targets]]  # windows or positions of a split, and targets


def open_dna(source: TaskUri, settings: OpenSettings) -> Source:
    """Reads and checks a file; windows of a sequence are cut when they are first asked for.

    Raises:
      DataError: missing, foreign or damaged, arrays that do not fit each other or the memory, symbols over 4, targets
        that are not finite or all the same, positions outside of the sequence, or no such option.
    """
    uri = source.text
    length = _length(uri, source.options)
    path = places.file_of_task(source, settings, "*.npz", ("length",), EXPECTED)
    try:
        layout, arrays, ignored = _read(path, length or _LENGTH)
        if layout.windows == "windows":
            if length:
                raise UnusableError(f"has whole windows, of {arrays['windows'].shape[1]:,} letters: leave out length=.")
            length = arrays["windows"].shape[1]
        return _source(layout, arrays, length or _LENGTH, path.stat().st_size, ignored)
    except UnusableError as problem:
        raise DataError(f"{uri}: {path} {problem}") from problem


def _length(uri: str, options: Mapping[str, str]) -> int:
    """The length of windows that is asked for; 0: none is."""
    if unknown := [name for name in options if name != "length"]:
        raise DataError(f"{uri}: there is no option {unknown[0]!r}. {nearest(unknown[0], ['length'])}")
    text = options.get("length", "")
    if not text:
        return 0
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number % 2 and 0 < number <= _LONGEST:
        return number
    near = (
        f" Use {' or '.join(str(one) for one in sorted({max(number - 1, 1), number + 1}))}."
        if 0 <= number < _LONGEST
        else ""
    )
    raise DataError(
        f"{uri}: length={text}: expected an odd number from 1 to {_LONGEST:,}: a window has a middle.{near}"
    )


def _read(path: Path, length: int) -> tuple[Layout, Arrays, list[str]]:
    """The arrays, checked against each other before any of them is read; and names of others that are there."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            layout = layout_of(members)
            headers = {name: header_of(archive, members[name]) for name in layout.names}
            for name, header in headers.items():
                npz_arrays.check_stored(name, header)
            memory = host_memory()
            check(layout, headers, length, memory * _MEMORY_SHARE if memory else float("inf"))
            arrays = {name: npz_arrays.read(archive, header) for name, header in headers.items()}
            return layout, arrays, sorted(set(members) - set(arrays))
    except (*BROKEN, NotImplementedError) as error:
        raise UnusableError(f"cannot be read as npz: {str(error).rstrip('.')}. {EXPECTED}") from error


def _source(layout: Layout, arrays: Arrays, length: int, num_bytes: int, ignored: Sequence[str]) -> Source:
    checked = {name: _checked(name, array, arrays) for name, array in arrays.items()}
    parts = _parts(layout, checked)
    targets = parts["train"][1]
    if (targets == targets[0]).all():
        raise UnusableError(f"holds {len(targets):,} training targets that are all {targets[0]:g}: nothing to learn.")

    def load() -> dict[SplitName, Split]:
        if layout.windows == "windows":
            return {name: Split(windows, numbers) for name, (windows, numbers) in parts.items()}  # type: ignore[arg-type]  # numbers, no classes
        sequence = checked["sequence"]
        return {
            name: Split(dna_windows.cut(sequence, where, length), numbers)  # type: ignore[arg-type]  # numbers
            for name, (where, numbers) in parts.items()
        }

    notes = _notes_on_size(parts, length)
    if layout.windows == "positions":
        notes += _notes_on_positions(parts, len(checked["sequence"]), length)
    if ignored:
        notes.append(f"Not used, because no array of such a name is expected: {printable(', '.join(ignored[:6]))}.")
    return Source(
        class_names=(),
        num_examples={name: len(numbers) for name, (_, numbers) in parts.items()},
        fingerprint=_fingerprint(checked, length),
        load=load,
        notes=tuple(notes),
        num_bytes=num_bytes,
        objective="value",
    )


def _checked(name: str, array: np.ndarray, arrays: Arrays) -> np.ndarray:
    kind = name.rpartition("_")[2]
    if kind == "targets":
        return dna_windows.checked_targets(name, array)
    if kind == "positions":
        return dna_windows.checked_positions(name, array, len(arrays["sequence"]))
    return dna_windows.checked_letters(name, array)


def _parts(layout: Layout, arrays: Arrays) -> Parts:
    """The splits; those that the file does not have are the last of the windows."""
    windows, targets = (
        {one: arrays[name_of(one, kind)] for one in layout.splits} for kind in (layout.windows, "targets")
    )
    missing = [name for name in SPLITS if name not in layout.splits]
    number = len(targets["train"])
    if missing and number < _SHARE:
        own = " and ".join(name_of(name, kind) for name in missing for kind in (layout.windows, "targets"))
        raise UnusableError(
            f"has {count(number, 'window')}, too few to split off {' and '.join(missing)} windows, a twentieth each: "
            f"give {_SHARE} or more, or {own}."
        )
    share = number // _SHARE
    ends = {name: number - share * left for left, name in enumerate(reversed(["train", *missing]))}
    parts = {}
    for name in SPLITS:
        own = name if name in layout.splits else "train"
        end = ends.get(name, len(targets[own]))
        start = end - share if name in missing else 0
        parts[name] = windows[own][start:end], targets[own][start:end]
    return parts


def _fingerprint(arrays: Arrays, length: int) -> str:
    hasher = hashlib.sha256(f"dna {_FORMAT} {length}".encode())
    for name, array in sorted(arrays.items()):
        hasher.update(f"{name} {array.shape}".encode())
        for start in range(0, len(array), _ROWS):
            piece = array[start : start + _ROWS]
            hasher.update(np.ascontiguousarray(piece, piece.dtype.newbyteorder("<")).data)
    return hasher.hexdigest()


def _notes_on_size(parts: Parts, length: int) -> list[str]:
    number = sum(len(targets) for _, targets in parts.values())
    if number * length < _LARGE:
        return []
    return [
        f"{number:,} windows of {length:,} letters take {byte_size(number * length)} of this machine's memory, and as "
        "much of every device that trains on them."
    ]


def _notes_on_positions(parts: Parts, letters: int, length: int) -> Iterator[str]:
    at_ends = sum(dna_windows.num_at_ends(where, letters, length) for where, _ in parts.values())
    if at_ends:
        yield f"{count(at_ends, 'window reaches', 'windows reach')} over an end of the sequence, where letters are N."
    is_in_order = (np.diff(np.concatenate([parts[name][0] for name in SPLITS])) >= 0).all()
    how = "" if is_in_order else "positions in order, or "
    for name in SPLITS[1:]:
        where = parts[name][0]
        shared = dna_windows.num_overlapping(where, parts["train"][0], length)
        if shared > _OVERLAP * len(where):
            yield (
                f"{shared:,} of {len(where):,} {name} windows ({shared / len(where):.0%}) share letters with training "
                f"windows, so they say little of other places: store {how}splits that lie apart."
            )
