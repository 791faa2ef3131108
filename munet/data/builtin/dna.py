"""`builtin:dna`: synthetic windows of nucleotides with a number each, made from a fixed seed; no organism's.

A stand-in for measured binding affinities. Three hidden motifs of twelve nucleotides; into every window of 201 random
ones a copy of a motif is put in which each nucleotide is right with a probability of the window's own. The number is
the best match of any motif anywhere (right nucleotides), brought to mean 0 and variance 1 over the training windows,
plus normal noise of deviation 0.3: so no model's mean squared error is below 0.09, and that of always predicting 0 is
1.09.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Int, UInt8

from munet import rng
from munet.data.splits import Source, Split, SplitName

DNA = "dna"
SYMBOLS = ("N", "A", "C", "G", "T")  # by number; N, an unknown nucleotide, does not occur here
_LENGTH, _MOTIFS, _MOTIF = 201, 3, 12
_NOISE = 0.3
_SIZES: dict[SplitName, int] = {"train": 20_000, "validation": 2_000, "test": 4_000}
_FORMAT = 1  # count up when the windows change
_PATH = ("builtin:dna", _FORMAT)


def open_dna() -> Source:
    """The windows; they are made when they are first asked for."""
    return Source(
        class_names=(),
        num_examples=_SIZES,
        fingerprint=hashlib.sha256(repr((_PATH, _LENGTH, _MOTIFS, _MOTIF, _NOISE, _SIZES)).encode()).hexdigest(),
        load=make,
        notes=("Synthetic: random windows with hidden motifs, no measured sequences.",),
        objective="value",
    )


def make() -> dict[SplitName, Split]:
    """All three splits: windows of numbers 1 to 4 (`SYMBOLS`), and float32 targets."""
    motifs = _uniforms("motifs", (_MOTIFS, _MOTIF), 4).astype(np.int8) + 1
    count = sum(_SIZES.values())
    windows = _uniforms("windows", (count, _LENGTH), 4).astype(np.uint8) + 1
    chosen = motifs[_uniforms("motif", (count,), _MOTIFS).astype(int)]
    is_right = _uniforms("right", (count, _MOTIF)) < _uniforms("share", (count, 1))
    rows, starts = np.arange(count)[:, None], _uniforms("start", (count,), _LENGTH - _MOTIF + 1).astype(int)
    places = starts[:, None] + np.arange(_MOTIF)
    windows[rows, places] = np.where(is_right, chosen, windows[rows, places])
    matches = _best_match(windows, motifs).astype(np.float64)
    train = matches[: _SIZES["train"]]
    # Not `rng.normal_array`, which came later: the windows' numbers are to stay what results were measured with.
    normal = np.sqrt(-2 * np.log(1 - _uniforms("radius", (count,)))) * np.cos(_uniforms("angle", (count,), 2 * np.pi))
    targets = ((matches - train.mean()) / train.std() + _NOISE * normal).astype(np.float32)
    ends = np.cumsum(list(_SIZES.values()))[:-1]
    cut = zip(_SIZES, np.split(windows, ends), np.split(targets, ends), strict=True)
    return {name: Split(own, numbers) for name, own, numbers in cut}  # type: ignore[arg-type]  # numbers, no classes


def _best_match(
    windows: UInt8[np.ndarray, "n length"], motifs: Int[np.ndarray, "motifs motif"]
) -> Int[np.ndarray, " n"]:
    """The most nucleotides of a motif that are right at one place of a window."""
    places = windows.shape[1] - motifs.shape[1] + 1
    best = np.zeros(len(windows), np.int8)
    for motif in motifs:
        right = np.zeros((len(windows), places), np.int8)
        for at, symbol in enumerate(motif):
            right += windows[:, at : at + places] == symbol
        best = np.maximum(best, right.max(axis=1))
    return best


def _uniforms(purpose: str, shape: tuple[int, ...], below: float = 1.0) -> np.ndarray:
    """Uniform numbers in [0, below), the same on every machine."""
    return rng.uniform_array((*_PATH, purpose), shape) * below
