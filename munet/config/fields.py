"""What every config field means: the comments beside the fields of the config classes, read from their source."""

from __future__ import annotations

import dataclasses
import inspect
import io
import tokenize
from typing import Any

from munet.config import Config, SearchSpace


def field_docs(config: Any = None, prefix: str = "") -> dict[str, str]:
    """Every leaf field's documentation by its full name, in order of definition; "" where there is none.

    A default of the search space means what its list means, and is documented there.
    """
    config = Config() if config is None else config
    comments = _comments(SearchSpace) | _comments(type(config))
    docs: dict[str, str] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            docs |= field_docs(value, f"{prefix}{item.name}.")
        else:
            docs[prefix + item.name] = comments.get(item.name, "")
    return docs


def group_docs(config: Any = None, prefix: str = "") -> dict[str, str]:
    """Every group's documentation by its full name: the first sentence of its class."""
    config = Config() if config is None else config
    docs: dict[str, str] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            docs[prefix + item.name] = (inspect.getdoc(type(value)) or "").split("\n")[0]
            docs |= group_docs(value, f"{prefix}{item.name}.")
    return docs


def _comments(cls: type) -> dict[str, str]:
    """Comments of a class body: at the end of a field's line, or alone on the lines directly above it."""
    source = inspect.getsource(cls)
    comments: dict[str, str] = {}
    above: list[str] = []
    names = {item.name for item in dataclasses.fields(cls)}
    name = ""
    is_line_empty = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            if is_line_empty:
                above.append(text)
            elif name:
                comments[name] = text
        elif token.type == tokenize.NAME and is_line_empty:
            name = token.string if token.string in names else ""
            if name and above:
                comments[name] = " ".join(above)
            above = []
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            is_line_empty = True
        elif token.type not in (tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT):
            is_line_empty = False
    return comments
