"""How large pages of large runs are, how long they take to make, and how quick they are in a browser.

    python -m benchmarks.pages [--tasks=100] [--blocks=10] [--children=10000] [--chromium=chromium]

Prints one JSON line. Nothing is trained: two runs are invented (`munet/run/rehearsal.py`) and written as journals.

`graph` is the graph page of a run of `--tasks` tasks whose models have 5 + `--blocks` components, two generations a
task; `report` the report of the same. `children` is the report of a run of 20 tasks with `--children` children. Of each
the bytes, and the seconds of processor time that making it took, reading the journal included. In a browser (Debian's,
driven by playwright, without it these are left out) `first_paint_ms` is until something is painted, `load_ms` until all
is loaded and its first script has run, and `step_ms` a step of the slider, painted, the mean over all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from munet import config
from munet.config import Experiment
from munet.evolution.controller import Controller
from munet.evolution.state import initial_state
from munet.report import history
from munet.report.graph import page
from munet.report.page import html, report, source
from munet.run.rehearsal import next_entry, start_entry
from munet.store import Store
from munet.system import view
from munet.types import TaskInfo

CLASSES = tuple(map(str, range(10)))
STEPS = """async () => {
  const frame = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
  const slider = document.querySelector('#player input');
  const start = performance.now();
  for (let step = 0; step <= Number(slider.max); step++) { go(step); await frame(); }
  return (performance.now() - start) / (Number(slider.max) + 1);
}"""


def write(place: Path, num_tasks: int, **settings: Any) -> int:
    """Invents a run and writes its journal; how many children it has."""
    tasks = tuple(
        TaskInfo(f"task {number}", f"builtin:{number}", str(number), CLASSES, 800, 100, 100)
        for number in range(num_tasks)
    )
    experiment = replace(Experiment(tasks=tuple(task.uri for task in tasks)), num_task_iterations=1, **settings)
    controller = Controller(experiment, tasks)
    start = replace(start_entry(experiment, tasks), experiment=config.to_json(experiment))
    state, store = initial_state(start), Store.create_or_open(place)
    with store.lock(), mock.patch.object(os, "fsync"):  # nothing here need survive a power failure
        store.journal.append(start)
        while not controller.is_complete(state):
            entry = next_entry(controller, state)
            store.journal.append(entry)
            state = controller.tell(state, entry)
    return state.next_model_id - 1


def timed(make: Callable[[Path], str], workdir: Path, path: Path) -> dict[str, Any]:
    """Makes a page of a run; its size, and the processor time that it took."""
    start = time.process_time()
    path.write_text(make(workdir), encoding="utf-8")
    return {"cpu_s": round(time.process_time() - start, 2), "bytes": path.stat().st_size}


def graph_page(workdir: Path) -> str:
    """The graph page of a run."""
    run = view.open(str(workdir))
    return page.to_page(run.every_task, history.of_run(run))


def report_page(workdir: Path) -> str:
    """The report of a run."""
    return html.to_page(report.make(source.read(str(workdir))))


def in_browser(path: Path, chromium: str, has_slider: bool) -> dict[str, Any]:
    """How quick a page is."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        shown.goto(f"file://{path}", timeout=120_000)
        shown.wait_for_function("() => performance.getEntriesByType('paint').length", timeout=120_000)
        told = shown.evaluate(
            "() => [performance.getEntriesByType('paint')[0].startTime, "
            "performance.getEntriesByType('navigation')[0].loadEventEnd]"
        )
        found = {"first_paint_ms": round(told[0]), "load_ms": round(told[1])}
        if has_slider:
            found["step_ms"] = round(shown.evaluate(STEPS), 1)
        browser.close()
    return found


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--children", type=int, default=10_000)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser") or "")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        many = {"variant": "Ti/16", "num_blocks": given.blocks, "mutation_probability": 0.5}
        write(place / "tasks", given.tasks, **many, num_generations=2, children_per_generation=2)
        found: dict[str, Any] = {
            "graph": timed(graph_page, place / "tasks", place / "graph.html"),
            "report": timed(report_page, place / "tasks", place / "report.html"),
        }
        number = write(place / "children", 20, num_generations=given.children // 200, children_per_generation=10)
        found["children"] = {"number": number, **timed(report_page, place / "children", place / "children.html")}
        for name in found if given.chromium else ():
            found[name] |= in_browser(place / f"{name}.html", given.chromium, name == "graph")
    print(json.dumps({"load": os.getloadavg()[0], **found}))


if __name__ == "__main__":
    main()
