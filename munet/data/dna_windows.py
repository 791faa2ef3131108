"""The values of measured windows of nucleotides: what they may be, and how windows are cut from a sequence."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from munet.data.dna_arrays import SYMBOLS, UnusableError, conversion

Windows = UInt8[np.ndarray, "n length"]
Targets = Float32[np.ndarray, " n"]
Positions = Int64[np.ndarray, " n"]
Sequence = UInt8[np.ndarray, " letters"]


def cut(sequence: Sequence, positions: Positions, length: int) -> Windows:
    """The windows of an odd length whose middles the positions are; 0 (N) beyond the ends of the sequence."""
    windows: Windows = np.lib.stride_tricks.sliding_window_view(np.pad(sequence, length // 2), length)[positions]
    return windows


def num_overlapping(positions: Positions, others: Positions, length: int) -> int:
    """How many windows share letters of the sequence with any of some others."""
    ordered = np.sort(others)
    after = np.searchsorted(ordered, positions)
    right = ordered[np.minimum(after, len(ordered) - 1)]
    left = ordered[np.maximum(after - 1, 0)]
    return int((np.minimum(np.abs(right - positions), np.abs(positions - left)) < length).sum())


def num_at_ends(positions: Positions, letters: int, length: int) -> int:
    """How many windows reach over an end of the sequence."""
    return int(((positions < length // 2) | (positions >= letters - length // 2)).sum())


def checked_letters(name: str, letters: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """Numbers of nucleotides.

    Raises:
      UnusableError: one of them is none.
    """
    if (largest := int(letters.max())) > 4:
        at = [int(one) for one in np.unravel_index(int(letters.argmax()), letters.shape)]
        how = f" These are letters. {conversion(name, letters.dtype)}" if chr(largest) in "ACGTNacgtn" else ""
        raise UnusableError(f"holds the number {largest} in {name} at {at}; expected {SYMBOLS}.{how}")
    return letters


def checked_positions(name: str, given: Shaped[np.ndarray, " n"], letters: int) -> Positions:
    """Middles of windows.

    Raises:
      UnusableError: one is outside of the sequence.
    """
    first = int(np.argmax((given < 0) | (given >= letters)))
    if not 0 <= given[first] < letters:
        raise UnusableError(
            f"holds {name} outside of the sequence: {given[first]} at {first:,}; expected 0 to {letters - 1:,}, the "
            "middle of a window, counted from 0."
        )
    return given.astype(np.int64, copy=False)


def checked_targets(name: str, given: Shaped[np.ndarray, " n"]) -> Targets:
    """Targets as float32, as they train.

    Raises:
      UnusableError: one is not finite, or too large for float32.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for float32 is told as what is infinite
        targets: Targets = given.astype(np.float32, copy=False)
    wrong = np.flatnonzero(~np.isfinite(targets))
    if len(wrong):
        raise UnusableError(
            f"holds {name} that are not finite as float32: {given[wrong[0]]} at {wrong[0]:,} ({len(wrong):,} such). "
            "Remove them with their windows."
        )
    return targets
