"""What a gradient takes of memory at its peak, counted in its traced program: nothing is compiled, nothing computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend

_PROGRAMS = (jax.extend.core.ClosedJaxpr, jax.extend.core.Jaxpr)  # inside of traced programs
_VIEWS = frozenset({"reshape", "squeeze", "expand_dims", "optimization_barrier"})  # of the same bytes
_LOOPS, _SUM = frozenset({"scan", "while"}), "add_any"


def gradient_bytes(loss: Callable[..., Any], *arguments: Any, has_aux: bool = False) -> int:
    """The most bytes that are there at once while a loss and its gradient are computed.

    Every value counts from the operation that makes it to the last one that reads it, in the order of the trace: what
    is kept for the backward pass, and what each of its steps needs beside that. Not counted are arguments and the
    gradient itself, which their owner knows of. Nor is what only a compiler knows: values that it never makes, because
    it computes them as part of others (a ViT has many, so this is more than the compiler's figure there), nor copies
    and work space of products. What networks measured against it have shown is in docs/performance.md.

    Args:
      loss: of its first argument the gradient is computed.
      arguments: arrays, or shapes with dtypes.
      has_aux: whether there is more than the loss, as `jax.value_and_grad` has it.
    """
    traced = jax.make_jaxpr(jax.value_and_grad(loss, has_aux=has_aux))(*arguments)
    return _peak(traced.jaxpr, counts_results=False)


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays, or shapes with dtypes, of a tree."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def inner_programs(equation: Any) -> Iterator[Any]:
    """The bodies of loops, branches and calls of one operation of a traced program."""
    for value in equation.params.values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, _PROGRAMS):
                yield getattr(one, "jaxpr", one)


def _peak(program: Any, *, counts_results: bool) -> int:
    """The most bytes of what is made inside of a program."""
    sources, last = _readers(program)
    ends: dict[int, list[Any]] = {}
    for value, place in last.items():
        ends.setdefault(place, []).append(value)
    left_out = set() if counts_results else set(ends.get(len(program.eqns), ()))
    held: dict[Any, int] = {}
    now = most = 0
    for place, equation in enumerate(program.eqns):
        new = {one: _bytes(one) for one in equation.outvars if one not in sources and one not in left_out}
        made = sum(new.values())
        inside = max((_peak(one, counts_results=True) for one in inner_programs(equation)), default=0)
        most = max(most, now + (made + inside if equation.primitive.name in _LOOPS else max(made, inside)))
        held |= {one: size for one, size in new.items() if one in last}
        now += sum(size for one, size in new.items() if one in last)
        now -= sum(held.pop(one, 0) for one in ends.get(place, ()))
    return most


def _readers(program: Any) -> tuple[dict[Any, tuple[Any, ...]], dict[Any, int]]:
    """What takes no bytes of its own, each with the values that it lies in; and where every other is read last.

    These are views, and sums that are but terms of another sum: gradients that come from several places, which are
    added up at the end, when all of them are there.
    """
    readers: dict[Any, list[str]] = {}
    for equation in program.eqns:
        for value in filter(_is_made, equation.invars):
            readers.setdefault(value, []).append(equation.primitive.name)
    for value in filter(_is_made, program.outvars):
        readers.setdefault(value, []).append("")
    sources: dict[Any, tuple[Any, ...]] = {}
    last: dict[Any, int] = {}

    def read(value: Any, place: int) -> None:
        for one in sources.get(value, (value,)):
            last[one] = place

    for place, equation in enumerate(program.eqns):
        name, made = equation.primitive.name, [value for value in equation.invars if _is_made(value)]
        for value in made:
            read(value, place)
        if name in _VIEWS:
            pairs = zip(equation.outvars, equation.invars, strict=True)
            sources.update((view, sources.get(value, (value,))) for view, value in pairs if _is_made(value))
        elif name == _SUM and readers.get(equation.outvars[0]) == [_SUM]:
            sources[equation.outvars[0]] = tuple(one for value in made for one in sources.get(value, (value,)))
    for value in filter(_is_made, program.outvars):
        read(value, len(program.eqns))
    return sources, last


def _is_made(value: Any) -> bool:
    return not isinstance(value, jax.extend.core.Literal)


def _bytes(value: Any) -> int:
    dtype = getattr(value.aval, "dtype", None)  # tokens have none
    return 0 if dtype is None else math.prod(value.aval.shape) * int(dtype.itemsize)
