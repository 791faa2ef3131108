"""Lists that are written as one text: `builtin:digits,tfds:mnist`, `0.1,0.2`, `('a', "b,c")`."""

from __future__ import annotations

import re
from itertools import pairwise


def split(text: str) -> list[str]:
    """Splits at commas outside of quotes and brackets; an outer pair of brackets and quotes around parts are optional.

    `tfds:x?train=train[5%:],tfds:y`, `folder:x?range=0,4095,tfds:y`, `tfds:x?classes=0,4,9,tfds:y`, `('a', "b,c")` and
    `[0.1, 0.2]` give two parts.

    Raises:
      ValueError: a quote or bracket is not closed, or there is nothing between two commas.
    """
    text = text.strip()
    if text[:1] + text[-1:] in ("()", "[]"):
        text = text[1:-1]
    seen = re.sub(r"'[^']*'|\"[^\"]*\"", _hidden, text)
    while (outside := re.sub(r"\([^()\[\]]*\)|\[[^()\[\]]*\]", _hidden, seen)) != seen:
        seen = outside  # brackets, from the innermost outwards
    seen = re.sub(r"[?&]range=[^,&]*,", _hidden, seen)  # an option of a task whose value has a comma
    # Others that may have several: what follows a comma there and has no scheme is a class, not the next task.
    seen = re.sub(r"[?&](?:classes|without)=[^,&]*(?:,[^,:&?]*(?=[,&]|$))+", _hidden, seen)
    commas = [index for index, char in enumerate(seen) if char == ","]
    parts = [text[before + 1 : after].strip() for before, after in pairwise([-1, *commas, len(text)])]
    if not parts[-1]:
        parts.pop()  # "", and a trailing comma as in ("a",)
    if "" in parts or re.search(r"[()\[\]'\"]", seen):
        raise ValueError("an empty element, or a bracket or a quote that is not closed")
    return [part[1:-1] if len(part) > 1 and part[0] == part[-1] and part[0] in "'\"" else part for part in parts]


def _hidden(found: re.Match[str]) -> str:
    """As many characters that are no commas."""
    return "_" * len(found[0])
