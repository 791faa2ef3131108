"""The page of `munet serve` in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser import needs_chromium, started
from tests.server.running import TASKS, Running, png

pytestmark = needs_chromium

_NOT_READY = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"detail": "Programs are being compiled."}}
_DAMAGED = {"status": 503, "json": {"detail": "A file is damaged."}}
_NAMES = ["all tasks", *(task.name for task in TASKS)]


@pytest.fixture
def page(server: Running) -> Iterator[Any]:
    with started() as browser:
        shown = browser.new_page()
        shown.set_default_timeout(120_000)  # other tests may be running
        yield shown


def test_a_page_that_is_opened_early_gets_its_tasks_when_the_models_are_ready(page: Any, server: Running) -> None:
    asked = []

    def answer(route: Any) -> None:
        asked.append(route)
        if len(asked) > 2:
            route.continue_()
        else:
            route.fulfill(**_NOT_READY)

    page.route("**/v1/tasks", answer)
    page.goto(server.url)
    page.wait_for_selector("#said.waits")
    assert page.inner_text("#said").startswith("Getting ready")
    page.wait_for_selector(f"#task option:nth-child({len(_NAMES)})", state="attached")
    assert page.eval_on_selector_all("#task option", "all => all.map((one) => one.textContent)") == _NAMES
    assert page.inner_text("#said") == ""
    assert len(asked) == 3


def test_what_will_not_change_is_said_and_not_asked_again(page: Any, server: Running) -> None:
    asked = []

    def answer(route: Any) -> None:
        asked.append(route)
        route.fulfill(**_DAMAGED)

    page.route("**/v1/tasks", answer)
    page.goto(server.url)
    page.wait_for_selector("#said:not(:empty)")
    page.wait_for_timeout(1500)
    assert page.inner_text("#said") == "A file is damaged."
    assert page.get_attribute("#said", "class") in (None, "")
    assert len(asked) == 1


def test_answers_fit_a_telephone(page: Any, server: Running) -> None:
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(server.url)
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": png()}])
    page.wait_for_selector("article section >> nth=2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    right = "all => Math.max(...all.map((one) => one.getBoundingClientRect().right))"
    assert page.eval_on_selector_all("meter, .row span", right) <= 344  # the margin of the page stays
