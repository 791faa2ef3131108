"""A suite of routed trainings: a training a method, all seeds side by side, and a page of what is complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.config.flags import Override
from munet.errors import SuiteError
from munet.suites import benchmark
from munet.suites.benchmark import Options

METHODS = ("gumbel", "none")


def options(workdir: Path, **changes: object) -> Options:
    settings = {"suite": "gumbel:tiny", "workdir": str(workdir), "repeats": 2, "methods": METHODS} | changes
    return Options(**settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_suite_trains_its_seeds_side_by_side_and_writes_a_page(tmp_path: Path) -> None:
    said: list[str] = []
    assert not benchmark.benchmark(options(tmp_path), said.append)
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert folders == ["gumbel", "none"]
    assert (tmp_path / "runs" / "gumbel" / "seeds_0-1" / "result.json").exists()
    page = (tmp_path / "results.md").read_text()
    assert "Made by `munet benchmark --suite=gumbel:tiny --repeats=2`" in page
    assert "Not complete: shared, pair_shared_rho_1" in page
    assert "| Gumbel-Matrix |" in page
    assert "Gumbel-Matrix's error by No sharing's:" in page
    assert "figure_7.svg" in page
    assert (tmp_path / "figures" / "figure_7.svg").read_bytes().startswith(b"<svg")
    again: list[str] = []
    assert not benchmark.benchmark(options(tmp_path), again.append)
    assert any("2 complete, 0 to do" in line for line in again)
    with pytest.raises(SuiteError, match="holds a run of 'gumbel' with other settings"):
        benchmark.benchmark(options(tmp_path, overrides=(Override("num_rounds", "9"),)), again.append)


def test_methods_of_several_kinds_are_no_suite(tmp_path: Path) -> None:
    file = tmp_path / "mixed.py"
    file.write_text(
        "from munet.suites.suite import Method, Suite\n"
        "def get_suite():\n"
        "    return Suite((Method('one', 'gumbel:synthetic'), Method('two', 'joint:shared')))\n"
    )
    with pytest.raises(SuiteError, match="make a suite of each"):
        benchmark.read(options(tmp_path / "suite", suite=str(file), methods=()))
