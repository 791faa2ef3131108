"""Frozen dataclasses to plain JSON values and back: exactly and strictly (DESIGN decision 4).

What it can carry: dataclasses of such fields, `tuple[X, ...]`, `frozenset[X]`, `Mapping[str | int, X]`, `X | None`,
`Literal`, unions of bool, int, float and str, and `object` for values that are plain JSON already. Floats come back
bit for bit (their shortest `repr`), mappings in the order they had. How a class is carried is worked out once.

A field that is missing takes its default if it has one, so that what an older version wrote stays readable when a class
gains a field; a field that is unknown is refused. One with `metadata={"omit_default": True}` is left out where it has
its default: for small values that are written very often.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import json
import math
import numbers
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from munet.errors import CorruptionError

T = TypeVar("T")
_Convert = Callable[[Any], Any]

_MAPPINGS = (dict, collections.abc.Mapping)


def to_json(value: object) -> Any:
    """A value as dicts, lists, strings, numbers, booleans and None; fields in the order they are declared.

    Raises:
      ValueError: a field holds what its annotation does not allow, or a float that is not finite. A fault of ours.
    """
    try:
        return _encode_any(value)
    except _Mismatch as error:
        raise ValueError(f"{type(value).__name__} cannot become JSON: {error.describe()}") from None


def from_json(cls: type[T], data: object, where: str = "") -> T:
    """The `cls` that `to_json` made `data` from. `cls` may be any type named in the module's docstring.

    Args:
      cls: the type to build.
      data: a JSON value.
      where: what the value was read from, for messages.

    Raises:
      CorruptionError: unknown keys, missing ones without a default, or a wrong type; the message names the place inside
        `data`.
    """
    try:
        return typing.cast(T, _codec(typing.cast(Any, cls)).decode(data))
    except _Mismatch as error:
        raise CorruptionError(f"{where or 'JSON value'} is not what was written: {error.describe()}") from None


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
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptionError(f"{where} holds no valid JSON ({error}).") from None


def _dump(data: object, *, sort_keys: bool) -> bytes:
    options: dict[str, Any] = {"sort_keys": sort_keys, "separators": (",", ":"), "allow_nan": False}
    try:
        return json.dumps(data, ensure_ascii=False, **options).encode("utf-8")
    except UnicodeEncodeError:  # a file name that is no UTF-8 (a lone surrogate): escape everything
        return json.dumps(data, ensure_ascii=True, **options).encode("utf-8")


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number")


class _Mismatch(Exception):
    """A value that does not fit; the path to it is put together on the way out, so that good values cost nothing."""

    def __init__(self, problem: str):
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []

    def within(self, step: str) -> _Mismatch:
        self.path.append(step)
        return self

    def describe(self) -> str:
        path = "".join(reversed(self.path)).lstrip(".")
        return f"at {path}: {self.problem}" if path else self.problem


def _unexpected(expected: str, value: object) -> _Mismatch:
    shown = repr(value)
    return _Mismatch(
        f"expected {expected}, found {type(value).__name__} {shown if len(shown) <= 60 else shown[:57] + '...'}"
    )


@dataclasses.dataclass(frozen=True)
class _Codec:
    encode: _Convert
    decode: _Convert


@functools.cache
def _codec(hint: Any) -> _Codec:
    """How values annotated with `hint` are carried."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _dataclass_codec(hint)
    if hint in _PRIMITIVES:
        return _Codec(_PRIMITIVES[hint], _PRIMITIVES[hint])
    if hint is type(None):
        return _Codec(_literal((None,)), _literal((None,)))
    if hint in (object, Any):
        return _Codec(_encode_any, lambda data: data)
    if origin is Literal:
        return _Codec(_literal(arguments), _literal(arguments))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _list_codec(tuple, _codec(arguments[0]))
    if origin is frozenset:
        return _list_codec(frozenset, _codec(arguments[0]))
    if origin in _MAPPINGS and arguments[0] in (str, int):
        return _mapping_codec(arguments[0], _codec(arguments[1]))
    if origin in (typing.Union, types.UnionType):
        return _union_codec(arguments)
    raise TypeError(f"munet.store.codec cannot carry {hint!r}; its docstring lists what it can.")


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise _unexpected("bool", value)


# Numbers and strings of NumPy, and whole numbers where a float is declared, are what was meant.
def _int(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    raise _unexpected("int", value)


def _float(value: Any) -> float:
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise _unexpected("a finite float", value)


def _str(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise _unexpected("str", value)


_PRIMITIVES: dict[type, _Convert] = {bool: _bool, int: _int, float: _float, str: _str}


def _literal(choices: tuple[Any, ...]) -> _Convert:
    kinds = {(type(choice), choice) for choice in choices}

    def convert(value: Any) -> Any:
        if isinstance(value, (list, dict)) or (type(value), value) not in kinds:
            raise _unexpected(" or ".join(map(repr, choices)), value)
        return value

    return convert


def _list_codec(cls: type[tuple[Any, ...]] | type[frozenset[Any]], item: _Codec) -> _Codec:
    def convert(values: Any, each: _Convert) -> list[Any]:
        result: list[Any] = []  # its length is the index in messages
        try:
            for value in values:
                result.append(each(value))
        except _Mismatch as error:
            raise error.within(f"[{len(result)}]") from None
        return result

    def encode(values: Any) -> list[Any]:
        if not isinstance(values, cls) and type(values) is not list:
            raise _unexpected(cls.__name__, values)
        return convert(sorted(values) if cls is frozenset else values, item.encode)

    def decode(data: Any) -> Any:
        if type(data) is not list:
            raise _unexpected("a list", data)
        return cls(convert(data, item.decode))

    return _Codec(encode, decode)


def _mapping_codec(key_type: type, item: _Codec) -> _Codec:
    def encode(values: Any) -> dict[str, Any]:
        if not isinstance(values, collections.abc.Mapping):
            raise _unexpected("a mapping", values)
        result: dict[str, Any] = {}
        for key, value in values.items():
            if type(key) is not key_type:
                raise _unexpected(f"keys of type {key_type.__name__}", key)
            try:
                result[str(key)] = item.encode(value)
            except _Mismatch as error:
                raise error.within(f".{key}") from None
        return result

    def decode(data: Any) -> dict[Any, Any]:
        if type(data) is not dict:
            raise _unexpected("an object", data)
        result: dict[Any, Any] = {}
        for key, value in data.items():
            try:
                result[_int_key(key) if key_type is int else key] = item.decode(value)
            except _Mismatch as error:
                raise error.within(f".{key}") from None
        return result

    return _Codec(encode, decode)


def _int_key(text: str) -> int:
    """The int that `str` made `text` from; other spellings of it ("01", "1_0") are refused."""
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or str(value) != text:
        raise _unexpected("a whole number as key", text)
    return value


def _union_codec(members: tuple[Any, ...]) -> _Codec:
    rest = tuple(member for member in members if member is not type(None))
    if len(rest) < len(members):
        inner = _codec(typing.Union[rest])  # noqa: UP007 - built at run time
        return _Codec(
            lambda value: None if value is None else inner.encode(value),
            lambda data: None if data is None else inner.decode(data),
        )
    if not set(rest) <= set(_PRIMITIVES):
        raise TypeError(f"munet.store.codec carries unions of bool, int, float and str only, not {members!r}.")

    def convert(value: Any) -> Any:
        exact = type(value) if type(value) in rest else None
        for member in (exact,) if exact else rest:
            if isinstance(value, member):  # NumPy's float64 is a float
                return _PRIMITIVES[member](value)
        raise _unexpected(" or ".join(member.__name__ for member in rest), value)

    return _Codec(convert, convert)


def _dataclass_codec(cls: Any) -> _Codec:
    hints = typing.get_type_hints(cls)
    fields = [(field.name, _codec(hints[field.name])) for field in dataclasses.fields(cls)]
    names = {name for name, _ in fields}
    omitted = {field.name: field.default for field in dataclasses.fields(cls) if field.metadata.get("omit_default")}
    required = {
        field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }

    def encode(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise _unexpected(f"a {cls.__name__}", value)
        result: dict[str, Any] = {}
        for name, codec in fields:
            if name in omitted and getattr(value, name) == omitted[name]:
                continue
            try:
                result[name] = codec.encode(getattr(value, name))
            except _Mismatch as error:
                raise error.within(f".{name}") from None
        return result

    def decode(data: Any) -> Any:
        if type(data) is not dict:
            raise _unexpected(f"an object ({cls.__name__})", data)
        if not required <= data.keys() <= names:
            unknown, missing = sorted(data.keys() - names), sorted(required - data.keys())
            raise _Mismatch(f"{cls.__name__} with unknown keys {unknown} and missing keys {missing}")
        values: dict[str, Any] = {}
        for name, codec in fields:
            if name not in data:
                continue
            try:
                values[name] = codec.decode(data[name])
            except _Mismatch as error:
                raise error.within(f".{name}") from None
        return cls(**values)

    return _Codec(encode, decode)


def _encode_any(value: Any) -> Any:
    """A value whose type nobody declared: plain JSON, dataclasses, and lists, tuples and mappings of them."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return _codec(float).encode(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _codec(type(value)).encode(value)
    if isinstance(value, (list, tuple)):
        return _ANY_LIST.encode(list(value))
    if isinstance(value, collections.abc.Mapping):
        key_type = int if value and all(type(key) is int for key in value) else str
        return (_ANY_BY_INT if key_type is int else _ANY_BY_STR).encode(value)
    raise _unexpected("a JSON value", value)


_ANY = _codec(object)
_ANY_LIST, _ANY_BY_INT, _ANY_BY_STR = _list_codec(tuple, _ANY), _mapping_codec(int, _ANY), _mapping_codec(str, _ANY)
