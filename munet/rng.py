"""Randomness without stored state: every draw is derived from the run's seed and a path.

A path names one draw: `(seed, task iteration, task, generation, child, purpose, ...)`. The controller's uniforms come
straight from SHA-256 of the path, so they never change with a library's version; arrays and permutations use
counter-based generators keyed by the same hash. Nothing here needs JAX.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int, UInt32, UInt64

Path = tuple[str | int, ...]


def digest(path: Path) -> bytes:
    """SHA-256 (32 bytes) of a path. Parts are length-prefixed and typed, so ("a", "bc") differs from ("ab", "c")."""
    return hashlib.sha256(_written(path)).digest()


def _written(path: Path) -> bytes:
    parts = [f"{type(part).__name__}:{part}".encode() for part in path]
    return b"".join(len(text).to_bytes(4, "big") + text for text in parts)


def uniform(path: Path) -> float:
    """A float64 in [0, 1) with 53 random bits, the same on every machine and version."""
    return (int.from_bytes(digest(path)[:8], "big") >> 11) / (1 << 53)


def uniforms(path: Path, ends: Iterable[Path]) -> Float64[np.ndarray, " ends"]:
    """`uniform` of a path with each of some ends, whose common beginning is hashed once."""
    common, words = hashlib.sha256(_written(path)), []
    for end in ends:
        hasher = common.copy()
        hasher.update(_written(end))
        words.append(int.from_bytes(hasher.digest()[:8], "big") >> 11)
    return np.array(words, np.float64) / (1 << 53)


def uniform_array(path: Path, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
    """Numbers in [0, 1) with 53 random bits each, of a Philox counter generator keyed by the path's hash."""
    return ((_philox(path, 0, math.prod(shape)) >> np.uint64(11)).astype(np.float64) / (1 << 53)).reshape(shape)


def normal_array(path: Path, shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """Standard normal numbers: Box and Muller's, of the same generator's words.

    Unlike those of `Generator.standard_normal`, which NumPy may change, they are the same in every version. Fewer
    numbers of a path are the first ones of more.
    """
    count = math.prod(shape)
    words = _philox(path, 0, 2 * ((count + 1) // 2))
    uniforms = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / (1 << 53)  # never 0
    radii, angles = np.sqrt(-2 * np.log(uniforms[0::2])), 2 * np.pi * uniforms[1::2]
    pairs = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return pairs.reshape(-1)[:count].reshape(shape).astype(np.float32)


def key_data(path: Path) -> UInt32[np.ndarray, "2"]:
    """Two 32-bit words for `jax.random.wrap_key_data`: the root of an array stream."""
    return np.frombuffer(digest(path)[8:16], dtype=">u4").astype(np.uint32)


def permutation(path: Path, length: int) -> Int[np.ndarray, " length"]:
    """A uniformly random order of `range(length)`, int64.

    Sorts the raw words of a Philox counter generator: unlike `Generator.permutation`, that stream is fixed by NumPy.
    """
    return np.argsort(_philox(path, 0, length), kind="stable")


def permutations(path: Path, length: int, first: int, count: int) -> Int[np.ndarray, "count length"]:
    """Uniformly random orders of `range(length)`: `count` of an endless stream, from number `first` on.

    Each can be made alone, because Philox counts: every order has counter values of its own.
    """
    per_order = -(-length // 4)  # a counter value gives four words
    words = _philox(path, first * per_order, count * per_order * 4).reshape(count, per_order * 4)
    return np.argsort(words[:, :length], axis=1, kind="stable")


class _Generator(threading.local):
    """A Philox generator for each thread: making one asks the operating system for randomness that nobody uses."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)


_GENERATOR = _Generator()


def _philox(path: Path, counter: int, count: int) -> UInt64[np.ndarray, " count"]:
    """The raw words of `np.random.Philox(key=..., counter=counter)`, whose key is of the path's hash."""
    key = digest(path)[16:32]
    words = [int.from_bytes(key[8:], "big"), int.from_bytes(key[:8], "big")]
    philox = _GENERATOR.philox
    philox.state = {
        "bit_generator": "Philox",
        "state": {"counter": np.array([counter, 0, 0, 0], np.uint64), "key": np.array(words, np.uint64)},
        "buffer": np.zeros(4, np.uint64),
        "buffer_pos": 4,  # it is empty
        "has_uint32": 0,
        "uinteger": 0,
    }
    return philox.random_raw(count)


@dataclass(frozen=True)
class Draws:
    """Draws below one path; the same purpose always gives the same number.

    Attributes:
      path: the common beginning of the paths of all draws.
    """

    path: Path

    def at(self, *parts: str | int) -> Draws:
        """Draws further down the path."""
        return Draws((*self.path, *parts))

    def uniform(self, *purpose: str | int) -> float:
        """A number in [0, 1)."""
        return uniform((*self.path, *purpose))

    def fires(self, kind: str, target: str, probability: float) -> bool:
        """Whether a possible mutation happens."""
        return self.uniform("fire", kind, target) < probability

    def goes_up(self, kind: str, target: str) -> bool:
        """Direction of a step along an ordered list: up or down with equal probability."""
        return self.uniform("direction", kind, target) < 0.5
