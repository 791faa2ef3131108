"""Names that anybody may have chosen (tasks, classes, data sets), made safe for folders, YAML and Markdown."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from munet.types import TaskName

_MAX_FOLDER = 60  # letters


def folder_names(tasks: Iterable[TaskName]) -> dict[TaskName, str]:
    """A folder's name for each task: ASCII letters, digits, `.`, `_` and `-`; no two equal, whatever case counts for.

    Names that fall together, or have nothing left of them, end in some digits of the task name's hash.
    """
    short = {task: re.sub(r"[^A-Za-z0-9._-]+", "-", task).strip("-.")[:_MAX_FOLDER] for task in tasks}
    taken = Counter(name.casefold() for name in short.values())
    return {
        task: name if name and taken[name.casefold()] == 1 else f"{name or 'task'}-{_digest(task)}"
        for task, name in short.items()
    }


def _digest(task: TaskName) -> str:
    return hashlib.sha256(task.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def yaml_text(text: str) -> str:
    """A double-quoted YAML scalar; whatever is not printable, direction marks among it, is written by its number."""
    return '"' + "".join(map(_yaml_letter, text)) + '"'


def _yaml_letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    number = ord(letter)
    if 0xD800 <= number < 0xE000:  # half a pair, from a file name that was no UTF-8: YAML has no way to write it
        return "\N{REPLACEMENT CHARACTER}"
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def markdown_text(text: str) -> str:
    """Text that Markdown and HTML show as it is; whatever is not printable is shown as `U+202E`."""
    return "".join(map(_markdown_letter, text))


def _markdown_letter(letter: str) -> str:
    if letter in "<>&":
        return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}[letter]
    if letter in "\\`*_{}[]()#!|~$":
        return f"&#{ord(letter)};" if letter in "|`" else f"\\{letter}"
    return letter if letter.isprintable() else f"U+{ord(letter):04X}"
