"""The fields of a config: their names, what they may be, what they mean, and how `munet config` lists them."""

from __future__ import annotations

import inspect
import operator
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from munet.config.evolve import Config, SearchSpace
from munet.config.values import Setting
from munet.errors import ConfigError, nearest

_FIELD = re.compile(r"    (\w+): .*?(?:  # (.*))?")  # a field's line in a class, with its comment


def entries(kind: type[Any], prefix: str = "") -> Mapping[str, Setting]:
    """Every group and field of a config class by its full name, in order of definition, a group before its fields."""
    found: dict[str, Setting] = {}
    for name, annotation in typing.get_type_hints(kind, include_extras=True).items():
        entry = found[prefix + name] = Setting.declared(prefix + name, kind, annotation)
        if entry.is_group:
            found |= entries(entry.kind, f"{entry.path}.")
    return found


def settings_of(kind: type[Any] = Config) -> Mapping[str, Setting]:
    """Every field of a config class by its full name, in order of definition."""
    return {path: entry for path, entry in entries(kind).items() if not entry.is_group}


def docs_of(kind: type[Any] = Config) -> dict[str, str]:
    """What every group and every field of a config class means, by its full name, in order of definition.

    Of a group it is the first line of its class, of a field the comment beside it or above it, and what it may be. A
    default of the search space means what its list means, and is documented there.
    """
    docs: dict[str, str] = {}
    comments = {owner: _comments(owner) for owner in {entry.owner for entry in entries(kind).values()} | {SearchSpace}}
    for path, entry in entries(kind).items():
        if entry.is_group:
            docs[path] = (inspect.getdoc(entry.kind) or "").split("\n")[0]
            continue
        doc = comments[entry.owner].get(entry.name) or comments[SearchSpace].get(entry.name, "")
        is_said = entry.choices and all(choice in doc for choice in entry.choices)
        docs[path] = f"{doc} [{entry.allowed}]" if entry.allowed and not is_said else doc
    return docs


def _comments(cls: type) -> dict[str, str]:
    comments: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(cls).splitlines():
        if line.startswith("    # "):
            above.append(line.strip("# "))
        elif field := _FIELD.fullmatch(line):
            comments[field[1]] = " ".join([*above, field[2] or ""]).strip()
            above = []
    return comments


def field_problems(config: Any) -> tuple[dict[str, str], list[str]]:
    """What is wrong with fields by themselves; those of the right types get them exactly, in place.

    Returns:
      The problem of each mistyped field or group by its full name, and those of all values that are not allowed.
    """
    mistyped: dict[str, str] = {}
    others: list[str] = []
    for path, entry in entries(type(config)).items():
        if any(path.startswith(f"{wrong}.") for wrong in mistyped):
            continue
        try:
            value = entry.typed(operator.attrgetter(path)(config))
        except ValueError as error:
            mistyped[path] = str(error)
        else:
            others += entry.problems(value)
            set_value(config, path, value)
    return mistyped, others


def set_value(config: Any, path: str, value: Any) -> None:
    """Sets the field with that full name, in place."""
    group, _, name = path.rpartition(".")
    setattr(operator.attrgetter(group)(config) if group else config, name, value)


def assign(config: Any, values: Mapping[str, Any], others: Iterable[str] = ()) -> None:
    """Assigns Python values by full or short name, in place; of what type and size they are, `validate` checks.

    Args:
      config: the config.
      values: e.g. `{"num_generations": 4, "search_space.image_size": (32,)}`.
      others: names that are no fields but would have been understood, for the advice on a misspelt one.

    Raises:
      ConfigError: unknown or ambiguous names, and fields named twice; all of them, after the others were assigned.
    """
    problems: list[str] = []
    named: dict[str, str] = {}
    for name, value in values.items():
        try:
            path = full_name(name, type(config), prefix="", others=others)
        except ValueError as error:
            problems.append(str(error))
            continue
        if path in named:
            problems.append(f"{name!r} and {named[path]!r} both mean {path}: give one of them.")
        named[path] = name
        set_value(config, path, value)
    if problems:
        raise ConfigError(problems)


def full_name(name: str, kind: type[Any] = Config, prefix: str = "--config.", others: Iterable[str] = ()) -> str:
    """The field that a full or a short name means: `seed` -> `experiment.seed`.

    Args:
      name: of a field.
      kind: the config class in whose fields is looked.
      prefix: what stands before a name where the user wrote it; for the advice.
      others: as for `assign`.

    Raises:
      ValueError: no field or several are called so; the message lists the valid names.
    """
    paths = settings_of(kind)
    found = _meant(name, paths)
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{name!r} is ambiguous; say " + " or ".join(f"{prefix}{path}" for path in found) + ".")
    inside = [path for path in paths if f".{path}".rpartition(".")[0].endswith(f".{name}")]
    if inside:
        raise ValueError(f"{name!r} is a group of fields; set one of them, e.g. {prefix}{inside[0]}.")
    advice = nearest(name, paths if "." in name else [*short_names(kind), *others])
    raise ValueError(f"there is no field {name!r}. {advice} `munet config --config=...` lists them all.")


def short_names(kind: type[Any] = Config) -> list[str]:
    """For every field the shortest name that means it, in order of definition."""
    paths = settings_of(kind)
    names = []
    for path in paths:
        parts = path.split(".")
        endings = (".".join(parts[-length:]) for length in range(1, len(parts) + 1))
        names.append(next(name for name in endings if _meant(name, paths) == [path]))
    return names


def _meant(name: str, paths: Iterable[str]) -> list[str]:
    return [name] if name in paths else [path for path in paths if path.endswith(f".{name}")]


def describe(config: Any, width: int = 100) -> Iterator[str]:
    """Lines of text: for each group its meaning, for each field `name = value` as a flag takes it, and its meaning."""
    for path, doc in docs_of(type(config)).items():
        line = f"  --config.{path}={as_flag(operator.attrgetter(path)(config))}"
        if entries(type(config))[path].is_group:
            yield from ("", *textwrap.wrap(f"{path}: {doc}", width))
        elif len(line) + len(doc) + 3 <= width:
            yield f"{line}  # {doc}"
        else:
            yield line
            yield from textwrap.wrap(f"# {doc}", width, initial_indent=" " * 6, subsequent_indent=" " * 8)


def as_flag(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(as_flag(element) for element in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
