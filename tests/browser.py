"""The real browser of tests of pages: Debian's chromium, which playwright drives and does not download."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt install chromium)")


@contextmanager
def started() -> Iterator[Any]:
    """A headless chromium, which is ended with the block."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="drives the browser; an extra of the tests")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()
