"""The page at `/`: one file without any name of the run in it, and what a browser may do with it.

Names of tasks and classes come as JSON and are shown as text; the policy forbids whatever the page does not need.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from munet.pages import inline_hash


@cache
def html() -> str:
    """The page."""
    return (resources.files("munet") / "assets" / "serve.html").read_text(encoding="utf-8")


@cache
def headers() -> dict[str, str]:
    """What comes with it: only the page's own script and style run, and nothing is asked of any other place."""
    script, style = (inline_hash(element, html()) for element in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src blob: data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
