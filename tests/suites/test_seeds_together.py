"""Which training a page shows where all seeds of a method are one: those of other numbers of seeds are there, too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from munet.config import to_json
from munet.joint.beginning import Beginning
from munet.methods.gumbel_matrix.result import ROUTING
from munet.methods.muir.result import MUIR
from munet.store import codec
from munet.suites import record, unlike, value_report
from munet.suites.plan import plan, seeds_folder
from munet.suites.record import Record
from munet.suites.routing_report import RoutingReport
from munet.suites.suite import Method, Suite
from munet.suites.value_report import ValueReport
from munet.suites.value_rows import ValueRow
from tests.suites.test_routing_rows import trained

SUITE = Suite((Method("a", "muir:synthetic"), Method("b", "muir:synthetic")))
Complete = dict[str, int]  # seeds by place


def asked(*times: tuple[int, Sequence[str]]) -> Record:
    """The record after `munet benchmark` with these `--repeats` and `--methods`."""
    kept = None
    for repeats, methods in times:
        kept = record.of_suite(SUITE, "mine", repeats, (), kept, dict.fromkeys(methods, repeats))
    assert kept is not None
    return kept


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Trainings that are complete, as far as a page of values can see."""
    found: Complete = {}

    def rows_of(place: str, method: str, title: str) -> list[ValueRow] | None:
        same = 1.0, 1.0, 1.0, 1.0, 1, 1, 1, 1, 1, 1, 1, 1, 1.0
        return (
            [ValueRow(method, title, seed, "t", "RMSE", *same) for seed in range(found[place])]
            if found.get(place)
            else None
        )

    monkeypatch.setattr(value_report, "rows_of", rows_of)
    monkeypatch.setattr(value_report, "searches", lambda _: [])
    return found


def seeds(report: ValueReport) -> dict[str, int]:
    rows = report.rows()
    return {method: sum(row.method == method for row in rows) for method in dict.fromkeys(row.method for row in rows)}


def test_fewer_seeds_than_were_once_asked_for(complete: Complete) -> None:
    report = ValueReport("x", SUITE, asked((10, "ab"), (3, "ab")))
    assert seeds(report) == {}
    complete[seeds_folder("x", "a", 3)] = 3
    assert seeds(report) == {"a": 3}


def test_a_method_that_is_not_run_now_keeps_its_seeds(complete: Complete) -> None:
    complete |= {seeds_folder("x", "a", 5): 5, seeds_folder("x", "b", 3): 3}
    assert seeds(ValueReport("x", SUITE, asked((3, "ab"), (5, "a")))) == {"a": 5, "b": 3}


def test_what_is_complete_is_shown_until_more_seeds_are(complete: Complete) -> None:
    complete[seeds_folder("x", "a", 3)] = 3
    report = ValueReport("x", SUITE, asked((3, "ab"), (5, "ab")))
    assert seeds(report) == {"a": 3}
    complete[seeds_folder("x", "a", 5)] = 5
    assert seeds(report) == {"a": 5}


def test_records_that_do_not_say_how_many(complete: Complete) -> None:
    complete |= {seeds_folder("x", "b", 3): 3}
    old = record.of_suite(SUITE, "mine", 3, (), None, {})
    assert [method.together for method in old.methods] == [1, 1]
    assert seeds(ValueReport("x", SUITE, old)) == {"b": 3}
    assert seeds(ValueReport("x", SUITE, record.of_suite(SUITE, "mine", 5, (), old, {"a": 5}))) == {"b": 3}


def test_routed_trainings_of_fewer_seeds(tmp_path: Path) -> None:
    one = trained(seeds=2)
    place = Path(seeds_folder(str(tmp_path), "b", 2))
    place.mkdir(parents=True)
    (place / ROUTING.start).write_text(json.dumps(codec.to_json(one.beginning)))
    (place / "result.json").write_text(json.dumps(codec.to_json(one.result)))
    report = RoutingReport(str(tmp_path), SUITE, asked((2, "ab"), (5, "a")))
    assert list(report.rows()) == ["b"]
    report.write()
    page = (tmp_path / "results.md").read_text()
    assert "seeds 0 to 1 of a method side by side" in page
    assert "Not complete: a." in page
    assert "\nAbove is seed 0. 41.7% of all connections are used" in page


def test_other_settings_of_seeds_that_are_not_run_now(complete: Complete, tmp_path: Path) -> None:
    (run,) = plan(SUITE, str(tmp_path), 3, methods=("b",))
    Path(run.workdir).mkdir(parents=True)
    beginning = codec.to_json(Beginning(to_json(run.config.experiment), (), {}, {}))
    (Path(run.workdir) / MUIR.start).write_text(json.dumps(beginning))
    complete[run.workdir] = 3
    kept, now = asked((3, "ab"), (5, "a")), plan(SUITE, str(tmp_path), 5, methods=("a",))
    assert unlike.found(SUITE, str(tmp_path), kept, (), now) == {}
    changed = Suite(SUITE.methods, settings={"challengers": 3})
    texts = unlike.found(changed, str(tmp_path), kept, (), now)
    assert list(texts) == [run.workdir]
    ValueReport(str(tmp_path), changed, kept, "", texts).write()
    page = (tmp_path / "results.md").read_text()
    assert "* b: has runs of other settings than the suite has now (challengers: 8 -> 3).\n" in page
