"""What `munet config` prints: every setting, its value, and the comment that stands beside it in its config class."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from munet.config.fields import field_docs, group_docs
from munet.config.files import AnyConfig

_INDENT = "      "


def describe(config: AnyConfig, width: int = 100) -> Iterator[str]:
    """Lines of text: for each group its meaning, for each field `name = value` as a flag takes it, and its meaning."""
    groups, docs = group_docs(config), field_docs(config)
    group = ""
    for path, doc in docs.items():
        owner, _, _ = path.rpartition(".")
        if owner != group:
            group = owner
            yield ""
            yield from textwrap.wrap(f"{group}: {groups[group]}", width)
        line = f"  --config.{path}={as_flag(value_of(config, path))}"
        if len(line) + len(doc) + 3 <= width:
            yield f"{line}  # {doc}"
            continue
        yield line
        yield from textwrap.wrap(f"# {doc}", width, initial_indent=_INDENT, subsequent_indent=_INDENT + "  ")


def as_flag(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(as_flag(element) for element in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(config: Any, path: str) -> Any:
    """The value of the field with the full name `path`."""
    for part in path.split("."):
        config = getattr(config, part)
    return config
