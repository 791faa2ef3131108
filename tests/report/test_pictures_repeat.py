"""Equal runs have equal pictures and pages, byte for byte, and a task keeps its colour whatever is forgotten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from munet.cli import main
from munet.report.charts.chart import Chart
from munet.report.graph import formats, svg
from munet.report.graph.graph import of_run
from munet.report.page import report, source
from munet.system import view
from tests.report.stored_run import write_run

ROOT = Path(__file__).parents[2]
HASHES = """
import hashlib, sys
from munet.report import history
from munet.report.charts.chart import Chart
from munet.report.graph import frames, page, render
from munet.report.graph.graph import of_run
from munet.report.page import html, report, source
from munet.system import view

def show(name, data):
    print(name, hashlib.sha256(data).hexdigest())

run = view.open(sys.argv[1])
for format in ("svg", "dot", "json", "model_explorer"):
    show(format, render.render(of_run(run), format).encode())
told = history.of_run(run)
show("graph.html", page.to_page(run.every_task, told).encode())
shown = frames.Frames(page.to_data(run.every_task, told))
show("frame", shown.svg(len(shown) - 1).encode())
made = report.make(source.read(sys.argv[1]))
show("report.html", html.to_page(made).encode())
for section in made.sections:
    for part in section.parts:
        if isinstance(part, Chart):
            show(part.name, part.svg())
"""


@pytest.mark.slow
def test_two_processes_draw_the_same(tmp_path: Path) -> None:
    """Whatever order their sets have."""
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6)
    assert main(["forget", f"--workdir={tmp_path}", "--task=task1", "--yes"]) == 0
    running = [
        subprocess.Popen(
            [sys.executable, "-c", HASHES, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    one, other = (process.communicate(timeout=240)[0].splitlines() for process in running)
    assert len(one) > 12
    assert one == other


def test_a_task_keeps_its_colour_when_another_is_forgotten(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6)
    before = colours(tmp_path)
    assert main(["forget", f"--workdir={tmp_path}", "--task=task0", "--yes"]) == 0
    after = colours(tmp_path)
    assert after.keys() == before.keys()
    for picture, own in after.items():
        assert [own[task] for task in ("task1", "task2")] == [before[picture][task] for task in ("task1", "task2")], (
            picture
        )
        assert len(set(own.values())) == len(own)


def colours(workdir: Path) -> dict[str, dict[str, str]]:
    """The colour of every task in each picture that has tasks in colours."""
    graph = of_run(view.open(str(workdir)))
    lines = re.findall(r'data-task="([^"]+)" [^>]* stroke="([^"]+)"', svg.to_svg(graph))
    edges = re.findall(r'\[color="([^"]+)", tooltip="([^"]+)"', formats.to_dot(graph))
    found = {"svg": dict(lines), "dot": {task: colour for colour, task in edges}}
    parts = [part for section in report.make(source.read(str(workdir))).sections for part in section.parts]
    for part in parts:
        if isinstance(part, Chart) and part.name in ("tasks", "figure_6", "lineages", "costs"):
            scale = _scales(part.spec)[0]
            found[part.name] = dict(zip(scale["domain"], scale["range"], strict=True))
    assert len(found) == 6
    return found


def _scales(spec: Any) -> list[Any]:
    """Of colours, wherever they stand in a specification."""
    if isinstance(spec, list):
        return [scale for one in spec for scale in _scales(one)]
    if not isinstance(spec, dict):
        return []
    own = [spec["color"]["scale"]] if isinstance(spec.get("color"), dict) and spec["color"].get("scale") else []
    return own + [scale for one in spec.values() for scale in _scales(one)]
