"""What pages that ask for nothing have in common: data inside of them, and a policy that lets only them run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any


def data_text(value: Any) -> str:
    """A value as JSON that may stand in a script element: no name in it can end the element."""
    text = json.dumps(value, separators=(",", ":"))
    for letter in "<>&":  # in a script element only JSON's own escapes are read
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def policy(scripts: list[str], styles: list[str], *more: str) -> str:
    """What a browser may do with a page: run these scripts and styles, show images that are in it, ask for nothing.

    Args:
      scripts, styles: contents of the elements.
      *more: further rules.
    """
    sources = {"script": map(_hash, scripts), "style": map(_hash, styles)}
    rules = [" ".join([f"{kind}-src", *(f"'{digest}'" for digest in digests)]) for kind, digests in sources.items()]
    return "; ".join(["default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:", *rules, *more])


def elements(kind: str, html: str) -> list[str]:
    """The contents of a page's plain `<script>` or `<style>` elements."""
    return re.findall(f"<{kind}>(.*?)</{kind}>", html, re.DOTALL)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
