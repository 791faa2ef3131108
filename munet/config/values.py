"""Whether a config's values are of the types that its fields declare: config files are Python and check nothing."""

from __future__ import annotations

import copy
import dataclasses
import math
import typing
from collections.abc import Iterable
from typing import Any

_EXPECTED = {bool: "True or False", int: "a whole number", float: "a finite number", str: "text"}


def fix_types(config: Any, prefix: str = "") -> dict[str, str]:
    """Finds fields of wrong types; whole numbers where floats belong become floats, lists become tuples, in place.

    Args:
      config: a config or a part of one.
      prefix: what its fields' full names begin with, e.g. `experiment.`.

    Returns:
      The problem of each mistyped field or group by its full name.
    """
    problems: dict[str, str] = {}
    hints = typing.get_type_hints(type(config))
    for item in dataclasses.fields(config):
        path, declared, value = prefix + item.name, hints[item.name], getattr(config, item.name)
        if isinstance(declared, type) and dataclasses.is_dataclass(declared):
            if type(value) is declared:
                problems |= fix_types(value, f"{path}.")
            else:
                problems[path] = f"{path} is a {type(value).__name__}: expected a {declared.__name__}(...)."
            continue
        try:
            setattr(config, item.name, _typed(declared, value))
        except TypeError as error:
            problems[path] = f"{path} = {value!r}: {error}"
    return problems


def with_defaults(config: Any, paths: Iterable[str]) -> Any:
    """A copy of a config in which the named fields and groups have their defaults."""
    config = copy.deepcopy(config)
    for path in paths:
        *groups, name = path.split(".")
        owner = config
        for group in groups:
            owner = getattr(owner, group)
        setattr(owner, name, getattr(type(owner)(), name))
    return config


def _typed(declared: Any, value: Any) -> Any:
    """The value as the annotation wants it.

    Raises:
      TypeError: it is of another type; the message says what was expected.
    """
    if typing.get_origin(declared) is not tuple:
        return _scalar(declared, value)
    kind = typing.get_args(declared)[0]
    if isinstance(value, str):
        example = f"({value!r},)" if kind is str else "(1, 2)"
        raise TypeError(f"expected a tuple, not one string; write {example}.")
    if not isinstance(value, tuple | list):
        raise TypeError(f"expected a tuple, each element {_EXPECTED[kind]}; got {type(value).__name__}.")
    return tuple(_scalar(kind, element) for element in value)


def _scalar(kind: type, value: Any) -> Any:
    # True is an int to Python, but no number to anybody who writes a config.
    fits = isinstance(value, int | float if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if not fits:
        raise TypeError(f"expected {_EXPECTED[kind]}, got {type(value).__name__} {value!r}.")
    if kind is float and not math.isfinite(value):
        raise TypeError(f"expected {_EXPECTED[kind]}, got {value!r}.")
    return kind(value)
