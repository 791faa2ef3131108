"""What a report says against numbers worked out by hand, and what it is made of in unusual cases."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from munet.cli import main
from munet.config import Baseline
from munet.errors import UserError
from munet.report import history
from munet.report.charts.chart import Chart
from munet.report.graph.frames import Frames
from munet.report.graph.page import to_data
from munet.report.page import command, files, html, report, source
from munet.report.page.command import Options
from munet.report.page.parts import Report, Table
from munet.report.tensorboard.points import Fold, Picture, Scalar
from munet.run.forget import plan_forgetting
from munet.store import Store
from munet.system import view
from munet.types import ExtendEntry, Position
from tests.compression.compressed_run import write_smooth_run
from tests.report import fixed_journal
from tests.report.charts.test_charts import NAMES
from tests.report.drawn_texts import faults
from tests.report.stored_run import write_run


def made(place: Path, *compare: Path) -> Report:
    return report.make(source.read(str(place), [str(one) for one in compare]))


def part(found: Report, name: str) -> Any:
    parts = [part for section in found.sections for part in section.parts if isinstance(part, Table | Chart)]
    return next(part for part in parts if part.name == name)


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    fixed_journal.write(tmp_path / "run")
    return tmp_path / "run"


def test_the_leaderboard(fixed: Path) -> None:
    one, two = part(made(fixed), "leaderboard").rows
    assert (one["task"], one["validation"], one["test"], one["params"], one["accounted_params"]) == (
        "one", 0.9, 0.8, 240, 173.0,
    )  # fmt: skip
    # Wilson's intervals of 80 of 100 and of 30 of 50, from the tables of any textbook.
    assert (one["test_low"], one["test_high"]) == pytest.approx((0.7112, 0.8666), abs=1e-4)
    assert (two["test_low"], two["test_high"]) == pytest.approx((0.4618, 0.7239), abs=1e-4)
    assert (one["lineage"], two["lineage"]) == ("0 > 4", "0 > 4 > 7")
    assert (one["shares_with"], two["shares_with"]) == ("two (2)", "one (2)")
    assert (one["fails"], two["fails"]) == ("10 of 20 right: c", "0 of 10 right: c")
    shown = [[column.show(row) for column in part(made(fixed), "leaderboard").columns] for row in (one, two)]
    assert shown[0][3] == "80.00% (71.1-86.7)"
    assert [line[-1] for line in shown] == ["root > 4", "root > 4 > 7"]  # as `munet status` has it


def test_each_column_of_the_leaderboard_is_explained(fixed: Path) -> None:
    found = part(made(fixed), "leaderboard")
    plain = {"task", "classes"}
    for column in found.columns:
        head = column.head.partition(" (")[0]
        assert head in plain or head.lower() in found.note.lower(), head


def test_worst_classes(fixed: Path) -> None:
    rows = part(made(fixed), "worst_classes").rows
    assert [(row["task"], row["class"], row["correct"], row["counted"]) for row in rows] == [
        ("two", "c", 0, 10), ("one", "c", 10, 20), ("two", "b", 10, 20), ("one", "b", 30, 40),
    ]  # fmt: skip
    assert [(row["taken_for"], row["taken_for_images"]) for row in rows[:2]] == [("b", 10), ("a", 7)]


def test_systems_beside_each_other(fixed: Path, tmp_path: Path) -> None:
    fixed_journal.write(tmp_path / "other")
    found = made(fixed, tmp_path / "other")
    rows = part(found, "figure_3").rows
    assert [row["system"] for row in rows] == ["other", "muNet"]
    for row in rows:  # (0.8 + 0.6) / 2, and the margins of both tasks taken together
        assert row["test"] == pytest.approx(0.7)
        assert row["params_per_task"] == 173
        assert row["low"] == pytest.approx(0.7 - math.hypot(0.8 - 0.7112, 0.6 - 0.4618) / 2, abs=1e-4)
    assert part(found, "comparison").rows[-1]["muNet"] == pytest.approx(0.7)


def test_systems_without_adapter_insertion_have_a_figure_of_their_own(tmp_path: Path) -> None:
    """Figure 4: of evolved systems those that insert none, beside what is fine-tuned in a fixed way."""
    write_run(tmp_path / "run")
    write_run(tmp_path / "plain", insert_adapters=False)
    write_run(tmp_path / "fixed", auto_tune=False)
    write_run(tmp_path / "run" / "baselines" / "full", baseline=Baseline("full"))
    found = made(tmp_path / "run", tmp_path / "plain", tmp_path / "fixed")
    systems = [row["system"] for row in part(found, "figure_3").rows]
    assert systems == ["full fine-tuning", "plain", "fixed", "muNet"]
    assert [row["system"] for row in part(found, "figure_4").rows] == ["full fine-tuning", "plain"]
    assert faults(part(found, "figure_4").svg()) == []
    with pytest.raises(StopIteration):
        part(made(tmp_path / "run", tmp_path / "fixed"), "figure_4")


def test_costs_and_failures(fixed: Path) -> None:
    found = made(fixed)
    rows = part(found, "costs_by_task").rows
    assert [(row["task"], row["children"], row["image_steps"], row["images_per_second"]) for row in rows] == [
        ("one", 5, 1500, 100.0), ("two", 3, 2100, 100.0),
    ]  # fmt: skip
    failures = part(found, "failures")
    assert [row["model"] for row in failures.rows] == [3, 8]
    assert [column.show(failures.rows[0]) for column in failures.columns if column.head == "parent"] == ["root"]
    assert ("36 s", "of training for 8 children") in found.facts
    said = json.dumps([part(found, "costs").spec, part(found, "costs").caption])
    assert "seconds of training" in said
    assert "device seconds" not in said  # it is wall time, on however many devices


def test_validation_and_values_along_lineages(fixed: Path) -> None:
    found = made(fixed)
    rows = [row for row in part(found, "figure_5").rows if row["task"] == "two"]
    assert [(row["cycle"], row["validation"], row["test"]) for row in rows] == [
        (1, 0.3, None), (2, 0.4, None), (3, 0.5, None), (4, 0.6, 0.6),
    ]  # fmt: skip
    rates = [row["value"] for row in part(found, "lineages").rows if row["hyperparameter"] == "learning_rate"]
    assert rates == [0.02, 0.05, 0.02, 0.05, 0.05, 0.05]


def test_files_hold_every_figure_and_table(fixed: Path, tmp_path: Path) -> None:
    command.write(Options(str(fixed), output=str(tmp_path / "a.html"), figures=str(tmp_path / "figures")))
    there = {path.name for path in (tmp_path / "figures").iterdir()}
    for section in made(fixed).sections:
        for one in section.parts:
            if isinstance(one, Chart):
                assert {f"{one.name}.{ending}" for ending in ("svg", "png", "csv")} <= there
                assert faults((tmp_path / "figures" / f"{one.name}.svg").read_bytes()) == []
            elif isinstance(one, Table):
                assert f"{one.name}.csv" in there
    assert {"graph.svg", "graph.png"} <= there
    with (tmp_path / "figures" / "figure_7.csv").open() as opened:
        assert list(csv.DictReader(opened)) == [
            {"source": "one", "target": "one", "share": "1.0", "cycles": "9"},
            {"source": "one", "target": "two", "share": "0.5", "cycles": "6"},
            {"source": "two", "target": "two", "share": "0.5", "cycles": "6"},
        ]


@pytest.mark.parametrize("pair", [NAMES[:2], NAMES[2:4], NAMES[4:6], NAMES[6:8]])
def test_hostile_names_stay_text(tmp_path: Path, pair: tuple[str, str]) -> None:
    infos = fixed_journal.tasks(pair, ("</script>", "\"'<&", "\u202ex" * 40))
    infos = tuple(replace(info, uri=f"npz:/data/{number}.npz") for number, info in enumerate(infos))
    fixed_journal.write(tmp_path / "run", infos)
    command.write(Options(str(tmp_path / "run"), output=str(tmp_path / "a.html"), figures=str(tmp_path / "figures")))
    text = (tmp_path / "a.html").read_text()
    own = html.to_page(Report("", [], [], [], 0))
    assert text.count("<script") == own.count("<script")
    body = text.partition("<main>")[2].partition("</main>")[0]
    assert "<b>x" not in body
    assert body.replace("\n", "").isprintable()
    figures = text.partition('id="figures">')[2].partition("</script>")[0]
    assert not set("<>&") & set(figures)
    json.loads(figures)
    for path in (tmp_path / "figures").glob("*.svg"):
        if path.name != "graph.svg":
            assert faults(path.read_bytes()) == [], path.name


def test_it_asks_for_nothing(fixed: Path) -> None:
    text = html.to_page(made(fixed))
    policy = text.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert "connect-src" not in policy
    assert "connect-src 'self'" in html.to_page(made(fixed), live=True)
    assert "<script src" not in text
    assert '<link rel="stylesheet' not in text


def test_tables_say_what_heads_are_of_and_what_they_hold(fixed: Path) -> None:
    """For who hears the page: heads belong to columns, and places that scroll have names."""
    page = html.to_page(made(fixed))
    body = page[page.index("<main>") : page.index("</main>")]
    assert body.count("<th") == body.count('<th scope="col"') + body.count("<thead")
    assert 'aria-label="The numbers of: Tried, kept, led to retained models"' in body
    assert '<div class="scroll" tabindex="0">' not in body


def test_an_unfinished_run_has_a_report(tmp_path: Path) -> None:
    for number, until in enumerate([Position(0, 0, 0), Position(0, 0, 1), Position(0, 1, 1)]):
        write_run(tmp_path / str(number), until=until)
        found = made(tmp_path / str(number))
        html.to_page(found)
        list(files.files(found))
        assert "data" in [section.name for section in found.sections]


def test_a_compressed_system_has_a_report(tmp_path: Path) -> None:
    write_smooth_run(tmp_path)
    assert main(["report", f"--workdir={tmp_path}", f"--output={tmp_path / 'a.html'}"]) == 0


def test_a_folder_that_is_not_there_is_told_before_the_page_is_made(
    fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "make", lambda *_: pytest.fail("the page was made"))
    assert main(["report", f"--workdir={fixed}", f"--output={tmp_path}/no/a.html"]) == 2
    said = capsys.readouterr().err
    assert f"there is no folder {tmp_path}/no. Give a file in a folder that exists." in said
    (tmp_path / "file").write_text("")
    assert main(["report", f"--workdir={fixed}", f"--output={tmp_path}/file/a.html"]) == 2
    assert f"{tmp_path}/file is no folder" in capsys.readouterr().err


def test_mistakes_are_answered(fixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"--workdir={fixed}", "--output=report.pdf"]) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert main(["report", f"--workdir={fixed}", f"--output={tmp_path}/no/a.html"]) == 2
    assert "cannot be written" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["report", f"--workdir={fixed}", f"--output={tmp_path}/a.html", f"--figures={tmp_path}/file"]) == 2
    assert "--figures=" in capsys.readouterr().err
    assert main(["report", f"--workdir={tmp_path}/nothing", f"--output={tmp_path}/a.html"]) == 2
    with pytest.raises(UserError):
        source.read(str(fixed), [str(tmp_path / "nothing")])


def test_a_report_says_no_more_of_its_place_than_need_be(fixed: Path) -> None:
    text = html.to_page(made(fixed))
    assert str(fixed.parent.parent) not in text
    assert f"Report of {fixed.parent.name}/run" in text
    assert report.short_place("gs://bucket/a/b") == "gs://bucket/a/b"


def test_a_hundred_tasks_are_a_small_page(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3,) * 100, num_generations=1, children_per_generation=2, num_task_iterations=1)
    found = made(tmp_path)
    assert len(html.to_page(found).encode()) < 3_000_000
    assert len(part(found, "leaderboard").rows) == 100
    for name in ("figure_7", "tasks", "figure_5"):
        assert faults(part(found, name).svg()) == []


def test_which_components_saw_a_forgotten_task_is_told(tmp_path: Path) -> None:
    """After `munet forget` in the run's own directory, as the command says it before."""
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.4, scale_factor=0.5)
    assert "forgotten" not in [section.name for section in made(tmp_path).sections]
    (planned,) = plan_forgetting(str(tmp_path), "task0")
    assert main(["forget", f"--workdir={tmp_path}", "--task=task0", "--yes"]) == 0
    found = made(tmp_path)
    rows = part(found, "forgotten").rows
    assert {row["component"]: row["cycles"] for row in rows} == dict(planned.seen) != {}
    assert all(row["users"] == ", ".join(planned.users(row["component"])) for row in rows)
    (section,) = [section for section in found.sections if section.name == "forgotten"]
    number, params = len(rows), sum(row["params"] for row in rows)
    total = len(view.open(str(tmp_path)).components)
    told = f"task0: {number} of {total} retained components, {params:,} parameters, saw its images."
    assert told == section.parts[0].text  # type: ignore[union-attr]
    assert told in html.to_page(found)


def test_a_forgotten_task_of_which_nothing_stays_is_told(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5), private_tasks=("task0",))
    assert main(["forget", f"--workdir={tmp_path}", "--task=task0", "--yes"]) == 0
    (section,) = [section for section in made(tmp_path).sections if section.name == "forgotten"]
    assert "task0: none of" in section.parts[0].text  # type: ignore[union-attr]
    assert not any(isinstance(one, Table) for one in section.parts)


def test_a_system_that_forgot_a_task_and_got_another(tmp_path: Path) -> None:
    """What the forgotten task has given is told under its old name; a task to come has no model yet."""
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6)
    assert main(["forget", f"--workdir={tmp_path}", "--task=task0", "--yes"]) == 0
    new = fixed_journal.tasks(("new", "unused"))[0]
    store, before = Store.open(tmp_path), view.open(str(tmp_path))
    with store.lock():
        store.journal.append(ExtendEntry(before.position, (new,), ("new",)))
    found = made(tmp_path)
    text = html.to_page(found)
    assert [row["task"] for row in part(found, "leaderboard").rows] == ["task1", "task2"]
    assert ("2 of 3", "tasks have a model") in found.facts
    assert {row["task"] for row in part(found, "figure_5").rows} == {"task1", "task2"}
    given = {row["source"] for row in part(found, "figure_7").rows}
    assert given & {"task0 (forgotten)", "task0"} <= {"task0 (forgotten)"}
    assert "task0" in {row["task"] for row in part(found, "costs_by_task").rows}  # what it cost, it cost
    assert "new" in text
    fold = Fold(before.controller)
    tags = {
        item.tag
        for entry in store.journal.entries()
        for item in fold.tell(entry).items
        if isinstance(item, Scalar | Picture)
    }
    assert {"task/task0/test", "task/task2/test", "system/graph"} <= tags
    frames = Frames(to_data(view.open(str(tmp_path)).every_task, history.of_run(view.open(str(tmp_path)))))
    assert faults(frames.svg(len(frames) - 1).encode()) == []
