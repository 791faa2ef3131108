"""The documented commands of the benchmarks can be given: each is a module of its package, whatever it imports."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py"))
TEXTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.py")]


@pytest.mark.parametrize("name", MODULES)
def test_it_can_be_imported_and_says_how_it_is_called(name: str) -> None:
    if name in ("folder", "input_wait"):
        pytest.importorskip("sklearn", reason="its photographs are those of scikit-learn")
    module = importlib.import_module(f"benchmarks.{name}")
    assert f"python -m benchmarks.{name}" in (module.__doc__ or "")


def test_no_text_calls_one_as_a_script() -> None:
    """As a script it would not find its own package."""
    found = {
        (path.name, command)
        for path in TEXTS
        for command in re.findall(r"python benchmarks/\w+\.py", path.read_text("utf-8"))
    }
    assert not found
    named = {name for path in TEXTS for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text("utf-8"))}
    assert named == set(MODULES)
