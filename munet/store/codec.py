"""Frozen dataclasses to plain JSON values and back: exactly and strictly (DESIGN decision 4).

A field that is missing takes its default if it has one, so that what an older version wrote stays readable when a class
gains a field; a field that is unknown is refused. One with `metadata={"omit_default": True}` is left out where it has
its default (None, "" or an empty tuple): for small values that are written very often. Floats come back bit for bit
(their shortest `repr`), mappings in the order they had.
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from munet.errors import CorruptionError
from munet.store.forms import Mismatch, fitted

T = TypeVar("T")


def to_json(value: object) -> Any:
    """A value as dicts, lists, strings, numbers, booleans and None; fields in the order they are declared.

    Args:
      value: a dataclass, plain JSON, or lists, tuples and mappings of these. In dataclasses, numbers of NumPy, and
        whole numbers where a float is declared, are written as what was meant.

    Raises:
      ValueError: a field holds what its annotation does not allow, or a float that is not finite. A fault of ours.
    """
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping) and {type(key) for key in value} in ({int}, {str}, set()):
        return {str(key): to_json(item) for key, item in value.items()}
    try:
        if not dataclasses.is_dataclass(value):
            raise Mismatch(f"expected a JSON value, found {value!r}")
        return msgspec.to_builtins(fitted(type(value), msgspec.to_builtins(value, enc_hook=_meant)), str_keys=True)
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
    raise Mismatch(f"expected a JSON value, found {value!r}")


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
        fitted(cls, data)
    except Mismatch as error:
        raise CorruptionError(f"{where or 'JSON value'} is not what was written: {error}") from None
    return msgspec.convert(data, cls, str_keys=True)


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
