"""Frozen dataclasses to plain JSON values and back: exactly and strictly.

A field that is missing takes its default if it has one, so that what an older version wrote stays readable when a class
gains a field; a field that is unknown is refused. One with `metadata={"omit_default": True}` is left out where it has
its default (None, "" or an empty tuple): for small values that are written very often. Floats come back bit for bit
(their shortest `repr`), mappings in the order they had.

msgspec does the work, on the same class as a strict `Struct`: by itself it lets unknown keys of dataclasses and NaN
pass, leaves out all defaults or none, and names no keys in its messages.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import math
import numbers
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from munet.errors import CorruptionError

T = TypeVar("T")
_FINITE = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]  # NaN is in no range
_INT_AS_KEY = Annotated[str, msgspec.Meta(pattern=r"^(0|-?[1-9][0-9]*)$")]  # as `str` writes it
_UNIONS = (typing.Union, types.UnionType)


def to_json(value: object) -> Any:
    """A value as dicts, lists, strings, numbers, booleans and None; fields in the order they are declared.

    Args:
      value: a dataclass, plain JSON, or lists, tuples and mappings of these. In dataclasses, numbers of NumPy, and
        whole numbers where a float is declared, are written as what was meant.

    Raises:
      ValueError: a field holds what its annotation does not allow, or a float that is not finite (of an `object` field
        `dumps` says so). A fault of ours.
    """
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping) and {type(key) for key in value} in ({int}, {str}, set()):
        return {str(key): to_json(item) for key, item in value.items()}
    try:
        if not dataclasses.is_dataclass(value):
            raise _Mismatch(f"expected a JSON value, found {value!r}")
        return msgspec.to_builtins(_fitted(type(value), msgspec.to_builtins(value, enc_hook=_meant)), str_keys=True)
    except TypeError as error:
        raise ValueError(f"{type(value).__name__} cannot become JSON: {error}") from None


def _meant(value: object) -> object:
    """What is to be written for a value that msgspec does not know."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, str):
        return str(value)
    raise _Mismatch(f"expected a JSON value, found {value!r}")


def from_json(cls: type[T], data: object, where: str = "") -> T:
    """The `cls` that `to_json` made `data` from.

    Args:
      cls: the type to build: a dataclass, or any annotation that a field of one may have.
      data: a JSON value.
      where: what the value was read from, for messages.

    Raises:
      CorruptionError: unknown keys, missing ones without a default, or a wrong type; the message names the place inside
        `data`.
    """
    try:
        read = _fitted(cls, data, is_read=True)
    except _Mismatch as error:
        raise CorruptionError(f"{where or 'JSON value'} is not what was written: {error}") from None
    # From the attributes: of JSON, msgspec would leave fields that are missing out of the instances' own.
    return msgspec.convert(read, cls, from_attributes=True)


def dumps(data: object) -> bytes:
    """A JSON value as one line of UTF-8, without needless blanks; keys stay in their order."""
    return _dump(data, sort_keys=False)


def canonical(data: object) -> bytes:
    """A JSON value as the one line of UTF-8 that stands for it wherever it is hashed: keys sorted."""
    return _dump(data, sort_keys=True)


def loads(data: bytes, where: str) -> Any:
    """The JSON value in `data`.

    Raises:
      CorruptionError: it holds no JSON; the message names `where`.
    """
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):  # it may be JSON still, with a lone surrogate
        pass
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"{where} holds no valid JSON ({error}).") from None


# Not with msgspec, which spells some floats otherwise (0.00001 for 1e-05): ids are hashes over these bytes.
def _dump(data: object, *, sort_keys: bool) -> bytes:
    options: dict[str, Any] = {"sort_keys": sort_keys, "separators": (",", ":"), "allow_nan": False}
    try:
        return json.dumps(data, ensure_ascii=False, **options).encode("utf-8")
    except UnicodeEncodeError:  # a file name that is no UTF-8 (a lone surrogate): escape everything
        return json.dumps(data, ensure_ascii=True, **options).encode("utf-8")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


class _Mismatch(TypeError):
    """A value that does not fit its annotation; the message names the place in it and what was expected there."""


def _fitted(hint: Any, data: object, *, is_read: bool = False) -> Any:
    """JSON as what has the form of `hint`: what `msgspec.to_builtins` writes as that dataclass is to be written.

    Args:
      hint: a dataclass, or an annotation that a field of one may have.
      data: a JSON value, in which keys of mappings may be ints.
      is_read: whether fields that are missing get their defaults; else they stay missing.

    Raises:
      _Mismatch: unknown keys, missing ones without a default, or a wrong type.
    """
    try:
        return msgspec.convert(data, _form(hint, is_read), str_keys=True)
    except msgspec.ValidationError as error:
        raise _Mismatch(_problem(hint, data) or str(error)) from None


@functools.cache
def _form(hint: Any, is_read: bool = False) -> Any:
    """The annotation with a strict `Struct` for every dataclass, lists for tuples, and finite floats only."""
    if hint is float:
        return _FINITE
    if dataclasses.is_dataclass(hint):
        return _struct(hint, is_read)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return list[_form(arguments[0], is_read)]  # type: ignore[misc]
    if origin is Literal or not arguments:
        return hint
    forms = tuple(_form(argument, is_read) for argument in arguments)
    return typing.Union[forms] if origin in _UNIONS else origin[forms]  # noqa: UP007 - built at run time


def _struct(cls: Any, is_read: bool) -> Any:
    """For reading a class with the defaults; for writing one that leaves out what is to be left out."""
    hints, fields = typing.get_type_hints(cls), []
    for field in dataclasses.fields(cls):
        options: dict[str, Any] = {}
        if field.default is not dataclasses.MISSING:
            options["default"] = [] if field.default == () else field.default
        elif field.default_factory is not dataclasses.MISSING:
            options["default_factory"] = field.default_factory
        if options and not is_read and not field.metadata.get("omit_default"):
            options = {"default": msgspec.UNSET}
        fields.append((field.name, _form(hints[field.name], is_read), msgspec.field(**options)))
    return msgspec.defstruct(cls.__name__, fields, forbid_unknown_fields=True, omit_defaults=True, kw_only=True)


def _problem(hint: Any, data: Any, place: str = "") -> str:
    """What is wrong with `data`, told of the innermost place that is to blame; "" if nothing is."""
    try:
        msgspec.convert(data, _form(hint), str_keys=True)
        return ""
    except msgspec.ValidationError:
        at = f"at {place.lstrip('.')}: " if place else ""
        if dataclasses.is_dataclass(cls := _without_none(hint)) and type(data) is dict and (keys := _keys(cls, data)):
            return at + keys
        for step, inner, value in _parts(hint, data):
            if problem := _problem(inner, value, place + step):
                return problem
        shown = repr(data)
        found = f"{type(data).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
        return f"{at}expected {_named(hint)}, found {found}"


def _keys(cls: Any, data: dict[str, Any]) -> str:
    """What is wrong with the keys of an object that is to be a dataclass; "" if nothing is."""
    fields = dataclasses.fields(cls)
    required = {field.name for field in fields if field.default is field.default_factory is dataclasses.MISSING}
    unknown, missing = sorted(data.keys() - {field.name for field in fields}), sorted(required - data.keys())
    return f"{cls.__name__} with unknown keys {unknown} and missing keys {missing}" if unknown or missing else ""


def _without_none(hint: Any) -> Any:
    """X of `X | None`."""
    if typing.get_origin(hint) not in _UNIONS:
        return hint
    return next((inner for inner in typing.get_args(hint) if inner is not type(None)), hint)


def _parts(hint: Any, data: Any) -> Iterator[tuple[str, Any, Any]]:
    """The values right inside `data`: the step to each, its annotation, and the value."""
    hint = _without_none(hint)
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
