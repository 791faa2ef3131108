"""The page in a real browser: what is shown is what the history says, and nothing else is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from munet.report import history
from munet.report.graph import page
from munet.types import ForgetEntry
from tests.browser import needs_chromium, started
from tests.evolution.simulation import make_experiment, make_tasks, simulate

pytestmark = needs_chromium

NAMES = ("digits", "</script><script>alert(1)</script>", "\u05d0\u05d1 right to left", "x" * 200)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as opened:
        yield opened


def folded_run(num_tasks: int, **changes: Any) -> tuple[Any, history.History]:
    tasks = tuple(
        replace(task, name=NAMES[index] if index < len(NAMES) else task.name)
        for index, task in enumerate(make_tasks(*([3] * num_tasks)))
    )
    settings = {"num_generations": 2, "children_per_generation": 3, "num_task_iterations": 1, **changes}
    run = simulate(make_experiment(tasks, mutation_probability=0.5, **settings), tasks)
    return tasks, history.fold(run.controller, run.entries)


def opened(browser: Any, path: Path, tasks: Any, folded: history.History, **options: Any) -> tuple[Any, list[str]]:
    """The page, and what went wrong in it so far."""
    path.write_text(page.to_page(tasks, folded), encoding="utf-8")
    shown, wrong = browser.new_context(**options).new_page(), []
    shown.on("console", lambda message: wrong.append(message.text))
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on("request", lambda request: wrong.append(request.url) if request.url != f"file://{path}" else None)
    shown.goto(f"file://{path}")
    return shown, wrong


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_steps_show_the_frames(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    tasks, folded = folded_run(4)
    size = {"width": width, "height": 844}
    shown, wrong = opened(browser, tmp_path / "a.html", tasks, folded, viewport=size, color_scheme=scheme)
    systems = list(folded.systems())
    places: dict[str, str] = {}
    shown.keyboard.press("Home")
    for step, models in enumerate(systems):
        assert shown.locator("#place").inner_text() == f"step {step} of {len(systems) - 1}"
        assert shown.locator(".box.head").count() == len(models)
        used = {id for model in models.values() for id in list(model.components.values())}
        found = "[...scene.users.keys()].flatMap((node) => nodes[node].parts.map((part) => parts[part].hash))"
        hashes = set(shown.evaluate(found))
        assert hashes == {id[:16] for id in used}
        where = "all => all.map(box => [box.dataset.box, box.querySelector('rect').getAttribute('x')])"
        now = dict(shown.eval_on_selector_all(".box", where))
        assert all(places.setdefault(box, x) == x for box, x in now.items())  # boxes keep their places
        shown.keyboard.press("ArrowRight")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.locator("tbody tr").count() == 4
    dark = "rgb(21, 24, 28)"
    assert (shown.evaluate("getComputedStyle(document.body).backgroundColor") == dark) == (scheme == "dark")
    assert wrong == []


def test_a_task_is_followed_and_a_second_compared(browser: Any, tmp_path: Path) -> None:
    tasks, folded = folded_run(4)
    shown, wrong = opened(browser, tmp_path / "a.html", tasks, folded, viewport={"width": 1280, "height": 900})
    shown.locator(".box.task").nth(0).click()
    assert shown.locator(".box.dim").count() > 0
    shown.locator(".box.task").nth(1).click()
    models = list(folded.systems())[-1]
    one, two = (set(models[name].components.values()) for name in NAMES[:2])
    title = shown.locator("#card h2").inner_text()
    assert title == f"{NAMES[0]} and {NAMES[1]} share"
    params = sum(folded.components[id].num_params for id in one & two)
    assert f"{params:,}" in shown.locator("#card").inner_text()
    shown.keyboard.press("Escape")
    assert shown.locator(".box.dim").count() == 0
    shown.locator("#search").fill("right to")
    assert shown.locator(".box:not(.dim)").count() == 2  # its own and its head
    shown.locator("#search").press("Enter")
    assert shown.locator("#card h2").inner_text() == NAMES[2]
    shown.locator(".box.component").first.hover()
    assert "hash" in shown.locator("#card").inner_text()
    assert wrong == []


def test_a_task_that_was_forgotten_is_none_that_is_to_be_solved(browser: Any, tmp_path: Path) -> None:
    tasks = make_tasks(3, 3, 3)
    settings = {"num_generations": 1, "children_per_generation": 2, "num_task_iterations": 1}
    run = simulate(make_experiment(tasks, **settings), tasks)
    gone = ForgetEntry(run.final.position, "task0", run.final.retained["task0"])
    folded = history.fold(run.controller, [*run.entries, gone])
    shown, wrong = opened(browser, tmp_path / "a.html", tasks, folded, viewport={"width": 1280, "height": 900})
    assert shown.locator("#title").inner_text() == "One system, 2 of 2 tasks solved"
    shown.keyboard.press("ArrowLeft")
    assert shown.locator("#title").inner_text() == "One system, 3 of 3 tasks solved"
    assert wrong == []


def test_it_plays_to_the_end_and_can_be_paused(browser: Any, tmp_path: Path) -> None:
    tasks, folded = folded_run(1, num_generations=1)
    shown, wrong = opened(browser, tmp_path / "a.html", tasks, folded)
    shown.locator("#play").click()
    assert shown.locator("#play").inner_text() == "Pause"
    shown.locator("#play").click()
    assert shown.locator("#play").inner_text() == "Play"
    assert shown.locator("#place").inner_text() == "step 0 of 2"
    shown.locator("#play").click()
    shown.wait_for_function("() => document.getElementById('place').textContent === 'step 2 of 2'")
    assert shown.locator("#play").inner_text() == "Play"
    assert "Verdicts" in shown.locator("#verdicts").inner_text()
    assert wrong == []


def test_many_tasks_unfold_on_click(browser: Any, tmp_path: Path) -> None:
    tasks, folded = folded_run(40, num_generations=1)
    shown, wrong = opened(browser, tmp_path / "a.html", tasks, folded, viewport={"width": 1280, "height": 900})
    columns = shown.locator(".box.task").count()
    assert columns <= 8
    shown.locator(".box.task", has_text="click to unfold").first.click()
    assert shown.locator(".box.task").count() > columns
    shown.locator("#fold").click()
    assert shown.locator(".box.task").count() == columns
    shown.locator("#unfold").click()
    assert shown.locator(".box.task").count() == 40
    steps = "for (let i = 0; i < 9; i++) go(i);"
    spent = shown.evaluate(f"() => {{ const start = performance.now(); {steps} return performance.now() - start; }}")
    assert spent / 9 < 300  # some 30 ms; the machine may be busy
    assert wrong == []
