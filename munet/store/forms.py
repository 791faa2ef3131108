"""What JSON has to look like to be a dataclass: the same class as a strict msgspec `Struct`, and where it departs.

By itself, msgspec lets unknown keys of dataclasses and NaN pass, leaves out all defaults or none, and names no keys in
its messages.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import re
import sys
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

_FINITE = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]  # NaN is in no range
_INT_AS_KEY = Annotated[str, msgspec.Meta(pattern=r"^(0|-?[1-9][0-9]*)$")]  # as `str` writes it
_UNIONS = (typing.Union, types.UnionType)


class Mismatch(TypeError):
    """A value that does not fit its annotation; the message names the place in it and what was expected there."""


def fitted(hint: Any, data: object) -> Any:
    """JSON as what has the form of `hint`: what `msgspec.to_builtins` writes as that dataclass is to be written.

    Args:
      hint: a dataclass, or an annotation that a field of one may have.
      data: a JSON value, in which keys of mappings may be ints.

    Raises:
      Mismatch: unknown keys, missing ones without a default, or a wrong type.
    """
    try:
        return msgspec.convert(data, _form(hint), str_keys=True)
    except msgspec.ValidationError as error:
        raise Mismatch(_problem(hint, data) or str(error)) from None


@functools.cache
def _form(hint: Any) -> Any:
    """The annotation with a strict `Struct` for every dataclass, lists for tuples, and finite floats only."""
    if hint is float:
        return _FINITE
    if dataclasses.is_dataclass(hint):
        return _struct(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return list[_form(arguments[0])]  # type: ignore[misc]
    if origin is Literal or not arguments:
        return hint
    forms = tuple(map(_form, arguments))
    return typing.Union[forms] if origin in _UNIONS else origin[forms]  # noqa: UP007 - built at run time


def _struct(cls: Any) -> Any:
    """A class that leaves out what is to be left out; any other default only says that the field may be missing."""
    hints, fields = typing.get_type_hints(cls), []
    for field in dataclasses.fields(cls):
        default: Any = msgspec.NODEFAULT
        if field.metadata.get("omit_default"):
            default = [] if field.default == () else field.default
        elif field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING:
            default = msgspec.UNSET
        fields.append((field.name, _form(hints[field.name]), msgspec.field(default=default)))
    return msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=True, omit_defaults=True, kw_only=True)


def _problem(hint: Any, data: Any, place: str = "") -> str:
    """What is wrong with `data`, told of the innermost place that is to blame; "" if nothing is."""
    try:
        msgspec.convert(data, _form(hint), str_keys=True)
        return ""
    except msgspec.ValidationError as error:
        for step, inner, value in _parts(hint, data):
            if problem := _problem(inner, value, place + step):
                return problem
        shown = repr(data)
        found = f"{type(data).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
        at = f"at {place.lstrip('.')}: " if place else ""
        return f"{at}expected {_named(hint)}, found {found} ({error})"


def _parts(hint: Any, data: Any) -> Iterator[tuple[str, Any, Any]]:
    """The values right inside `data`: the step to each, its annotation, and the value."""
    if typing.get_origin(hint) in _UNIONS:  # X | None; others have no parts
        hint = next((inner for inner in typing.get_args(hint) if inner is not type(None)), hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and type(data) is dict:
        yield from ((f".{key}", inner, data[key]) for key, inner in typing.get_type_hints(hint).items() if key in data)
    elif origin is tuple and type(data) in (list, tuple):
        yield from ((f"[{index}]", arguments[0], item) for index, item in enumerate(data))
    elif origin in (dict, collections.abc.Mapping) and type(data) is dict:
        if arguments[0] is int:
            yield from ((f".{key}", _INT_AS_KEY, key) for key in data if type(key) is str)
        yield from ((f".{key}", arguments[1], item) for key, item in data.items())


def _named(hint: Any) -> str:
    """What an annotation expects, in words."""
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if hint in (float, _INT_AS_KEY):
        return "a finite float" if hint is float else "a whole number as key"
    return hint.__name__ if isinstance(hint, type) else re.sub(r"\w[\w.]*\.(?=\w)", "", str(hint))
