"""What the pages that munet makes or serves have in common: which script and style of theirs a browser may run."""

from __future__ import annotations

import base64
import hashlib
import re


def inline_hash(element: str, page: str) -> str:
    """The source of a page's own `<script>` or `<style>` for its content security policy: `sha256-...`.

    Args:
      element: "script" or "style"; the first of a page counts.
      page: HTML.
    """
    found = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
    content = found[1] if found else ""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
