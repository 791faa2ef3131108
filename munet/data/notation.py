"""How the splits of a task are said in tables: which images a number was measured on is part of the number."""

from __future__ import annotations

from dataclasses import replace

from munet.data.changed import CHANGES
from munet.data.open_settings import TaskUri
from munet.data.uris import parse_uri


def describe_split(uri: str) -> str:
    """Train, validation and test split of a task URI in words: `clean`, `train[5%:], train[:5%], test`."""
    parsed = parse_uri(uri)
    changes = [f"{name}={value}" for name, value in parsed.options.items() if name in CHANGES and name != "name"]
    own = replace(parsed, options={name: value for name, value in parsed.options.items() if name not in CHANGES})
    return "; ".join([_own_split(own), *changes])


def _own_split(parsed: TaskUri) -> str:
    if parsed.scheme in ("npz", "builtin"):
        return "80/10/10"
    if parsed.scheme == "dna":
        length = f"; length={parsed.options['length']}" if "length" in parsed.options else ""
        return f"the file's, else 90/5/5 in its order{length}"
    if parsed.scheme != "tfds":
        return "&".join(f"{name}={value}" for name, value in parsed.options.items()) or "the source's"
    if "split" in parsed.options:
        return parsed.options["split"]
    if "alphabet" in parsed.options:
        return "10/4/6 a character" if parsed.options.get("selection") != "published" else "published selection"
    defaults = {"train": "train[5%:]", "validation": "train[:5%]", "test": "test"}
    if parsed.path == "omniglot" and not defaults.keys() & parsed.options.keys():
        return "clean"
    return ", ".join(parsed.options.get(name, default) for name, default in defaults.items())


def label(uri: str) -> str:
    """A task's name for tables, with its split where a set has several with names: `omniglot (clean)`."""
    parsed = parse_uri(uri)
    if parsed.path == "omniglot" or "split" in parsed.options:
        return f"{parsed.name} ({describe_split(uri)})"
    return parsed.name
