"""The report in a real browser: all figures are drawn, nothing is asked for, and it fits a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from munet.report.page import html, report, source
from munet.report.page.parts import Report
from tests.browser import needs_chromium, started
from tests.report import fixed_journal
from tests.report.charts.test_charts import NAMES

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as opened:
        yield opened


def written(place: Path, names: tuple[str, str] = ("one", "two")) -> tuple[Path, Report]:
    fixed_journal.write(place / "run", fixed_journal.tasks(names))
    found = report.make(source.read(str(place / "run")))
    (place / "a.html").write_text(html.to_page(found), encoding="utf-8")
    return place / "a.html", found


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page with everything opened and seen, and what went wrong in it."""
    shown, wrong = browser.new_context(**options).new_page(), []
    shown.set_default_timeout(120_000)  # other tests may be running
    shown.on("console", lambda message: wrong.append(message.text))
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on("request", lambda request: wrong.append(request.url) if not _is_own(request.url, path) else None)
    shown.goto(f"file://{path}")
    shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for place in shown.query_selector_all(".chart"):
        place.scroll_into_view_if_needed()
        shown.wait_for_function("(place) => place.querySelector('svg')", arg=place)
    return shown, wrong


def _is_own(url: str, path: Path) -> bool:
    return url in (f"file://{path}", "about:srcdoc") or url.startswith("data:")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn(browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    path, found = written(tmp_path)
    shown, wrong = opened(browser, path, viewport={"width": width, "height": 844}, color_scheme=scheme)
    drawn = shown.eval_on_selector_all(".chart", "(places) => places.map((place) => place.dataset.figure)")
    assert sorted(drawn) == sorted(html.figures_of(found))
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    frame = shown.query_selector("iframe").content_frame()
    assert "2 of 2 tasks solved" in frame.inner_text("h1")
    panels = shown.eval_on_selector_all('[data-figure="figure_5"] svg', "(svgs) => svgs.map((one) => one.clientWidth)")
    assert panels[0] <= width
    assert wrong == []


@pytest.mark.parametrize("pair", [NAMES[:2], NAMES[2:4], NAMES[4:6]])
def test_names_are_shown_as_they_are(browser: Any, tmp_path: Path, pair: tuple[str, str]) -> None:
    path, _ = written(tmp_path, pair)
    shown, wrong = opened(browser, path, viewport={"width": 390, "height": 844})
    text = shown.inner_text("#data")
    assert pair[0].replace("\u202e", "\\u202e") in text
    assert shown.evaluate("document.documentElement.scrollWidth") <= 390
    assert wrong == []


def test_names_beside_points_become_a_legend_where_there_is_no_room(browser: Any, tmp_path: Path) -> None:
    path, _ = written(tmp_path, ("left", "right"))
    for width, is_legend in ((390, True), (1280, False)):
        shown, wrong = opened(browser, path, viewport={"width": width, "height": 844})
        place = shown.query_selector('[data-figure="tasks"]')
        assert place.evaluate("(place) => place.scrollWidth - place.clientWidth") <= 0
        assert {"left", "right"} <= {text.text_content() for text in place.query_selector_all("text")}
        assert (place.query_selector(".role-legend") is not None) is is_legend
        assert wrong == []


def test_it_is_redrawn_when_the_window_changes(browser: Any, tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    shown, wrong = opened(browser, path, viewport={"width": 1280, "height": 844})
    place = shown.query_selector('[data-figure="mutations"]')
    wide = place.query_selector("svg").bounding_box()["width"]
    shown.set_viewport_size({"width": 390, "height": 844})
    place.scroll_into_view_if_needed()
    shown.wait_for_function("([place, wide]) => place.querySelector('svg')?.clientWidth < wide - 50", arg=[place, wide])
    assert wrong == []


def test_legends_and_the_layer_graph_fit_a_telephone(browser: Any, tmp_path: Path) -> None:
    """No legend is cut; the graph's page is as high as what is in it, so that only one page scrolls."""
    names = ("a task with a long name", "another task with one")
    path, _ = written(tmp_path, names)
    shown, wrong = opened(browser, path, viewport={"width": 390, "height": 844})
    for figure in ("costs", "scores", "mutations"):
        place = shown.query_selector(f'[data-figure="{figure}"]')
        assert place.evaluate("(place) => place.scrollWidth - place.clientWidth") <= 0, figure
    frame = shown.query_selector("iframe")
    inside = frame.content_frame().evaluate("[document.documentElement.scrollHeight, innerHeight]")
    assert inside[0] <= inside[1] + 1
    assert wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Any, tmp_path: Path, scheme: str) -> None:
    """The rules of accessibility that a program can check; axe's own script needs the policy out of its way."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="an extra of the tests")
    path, _ = written(tmp_path)
    shown, _ = opened(browser, path, color_scheme=scheme, bypass_csp=True)
    found = axe.Axe().run(shown).response
    assert len(found["passes"]) > 20
    assert [(fault["id"], fault["impact"], fault["nodes"][0]["html"]) for fault in found["violations"]] == []
