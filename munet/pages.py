"""What the pages that munet makes or serves share: what of theirs a browser may run, and data inside of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any


def inline_hash(element: str, page: str) -> str:
    """The source of a page's own `<script>` or `<style>` for its content security policy: `sha256-...`.

    Args:
      element: "script" or "style"; the first of a page counts.
      page: HTML.
    """
    return _hash(next(iter(elements(element, page)), ""))


def elements(kind: str, page: str) -> list[str]:
    """The contents of a page's plain `<script>` or `<style>` elements; those with attributes are left out."""
    return re.findall(f"<{kind}>(.*?)</{kind}>", page, re.DOTALL)


def policy(scripts: Sequence[str], styles: Sequence[str], *more: str) -> str:
    """What a browser may do with a page in one file: run these scripts and styles, show images in it, ask for nothing.

    Args:
      scripts, styles: contents of the elements.
      *more: further rules.
    """
    sources = {"script": map(_hash, scripts), "style": map(_hash, styles)}
    rules = [" ".join([f"{kind}-src", *(f"'{digest}'" for digest in digests)]) for kind, digests in sources.items()]
    return "; ".join(["default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:", *rules, *more])


def data_text(value: Any) -> str:
    """A value as JSON that may stand in a script element: no name in it can end the element."""
    text = json.dumps(value, separators=(",", ":"))
    for letter in "<>&":  # in a script element only JSON's own escapes are read
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
