"""Facts of a journal against numbers worked out by hand (tests/report/fixed_journal.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.report.facts import costs, forgotten, knowledge, lineages, mutations, scores, sharing
from munet.report.facts.costs import Cost
from munet.report.facts.forgotten import Seen
from munet.report.facts.knowledge import Flow
from munet.report.facts.lineages import Lineage
from munet.report.facts.mutations import KindCount
from munet.report.facts.sharing import Shared
from munet.store import Store
from munet.system import view
from munet.types import ForgetEntry, Position
from tests.report import fixed_journal
from tests.report.stored_run import write_run

ENTRIES = fixed_journal.entries()
FAMILIES = lineages.families(ENTRIES)


def test_knowledge_flow(tmp_path: Path) -> None:
    """`one`: block, norm and head, 3 cycles each; `two` shares two of them; its block has 2, its head 4."""
    fixed_journal.write(tmp_path)
    assert knowledge.flows(view.open(str(tmp_path))) == [
        Flow("one", "one", 1.0, 9),
        Flow("one", "two", 0.5, 6),
        Flow("two", "two", 0.5, 6),
    ]


def test_knowledge_flows_add_up(tmp_path: Path) -> None:
    write_run(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.6)
    run = view.open(str(tmp_path))
    flows = knowledge.flows(run)
    for task in run.models:
        assert sum(flow.share for flow in flows if flow.target == task) == pytest.approx(1.0)


def test_accounted_parameters(tmp_path: Path) -> None:
    """Input, first block and norm (10 + 10 + 10 + 100 + 4) are shared; a block of 100 and a head of 6 are own."""
    fixed_journal.write(tmp_path)
    run = view.open(str(tmp_path))
    assert {task: run.accounted_params(task) for task in run.models} == {"one": 173.0, "two": 173.0}
    assert run.total_params == 346


def test_what_ever_saw_the_images_of_a_forgotten_task(tmp_path: Path) -> None:
    """`two` goes on with a block of 100 and a norm of 4 that `one` trained for 3 cycles; its own block never saw it."""
    fixed_journal.write(tmp_path)
    assert forgotten.seen(view.open(str(tmp_path))) == []
    store = Store.open(tmp_path)
    with store.lock():
        store.journal.append(ForgetEntry(Position(1, 0, 0), "one", 4))
    block, norm = (fixed_journal.id_of(name, "4") for name in ("encoderblock_0", "encoder_norm"))
    assert forgotten.seen(view.open(str(tmp_path))) == [
        Seen("one", "encoder_norm", norm, 3, 3, 4, ("two",)),
        Seen("one", "encoderblock_0", block, 3, 3, 100, ("two",)),
    ]


def test_what_two_models_have_in_common(tmp_path: Path) -> None:
    """Input (10 + 10 + 10), which is the root's, and a block of 100 and a norm of 4, which `one` trained."""
    fixed_journal.write(tmp_path)
    assert sharing.shared(view.open(str(tmp_path)), ["one", "two"]) == [
        Shared("one", "one", 7, 4, 240),
        Shared("one", "two", 5, 3, 134),
        Shared("two", "two", 7, 3, 240),
    ]


def test_scores_of_children() -> None:
    """The third has none: it diverged at once; the last did so later."""
    found = scores.scored(ENTRIES)
    assert [(one.id, one.score) for one in found] == [
        (1, 0.6), (2, 0.7), (4, 0.9), (5, 0.6), (6, 0.4), (7, 0.6), (8, 0.2),
    ]  # fmt: skip
    assert [one.id for one in found if one.is_retained] == [4, 7]
    assert [one.id for one in found if not one.is_kept] == [5, 8]
    assert {one.task for one in found[:4]} == {"one"}


def test_mutations_that_were_tried_kept_and_led_to_retained_models() -> None:
    """Neither the forced clone of the norm counts, nor the step off the end of a list."""
    assert mutations.count(ENTRIES, FAMILIES) == [
        KindCount(mutations.CLONE, 3, 2, 2),
        KindCount("learning_rate", 2, 2, 2),
        KindCount(mutations.ADAPTER, 1, 0, 0),
    ]


def test_lineages() -> None:
    assert FAMILIES.lineages() == {
        "one": Lineage((0.7, 0.8, 0.9), 2, 0.8),
        "two": Lineage((0.3, 0.4, 0.5, 0.6), 3, 0.6),
    }
    assert [child.plan.id for child in FAMILIES.ancestry("two")] == [2, 4, 6, 7]
    assert FAMILIES.led_to_retained() == {2, 4, 6, 7}


def test_costs() -> None:
    generations = costs.by_generation(ENTRIES)
    assert generations[0] == Cost("one", 3, 2, 1, 600, 6.0)
    assert costs.by_task(generations) == [Cost("one", 5, 3, 1, 1500, 15.0), Cost("two", 3, 2, 1, 2100, 21.0)]


def test_failures() -> None:
    first, second = costs.failures(ENTRIES)
    assert (first.model, first.cycle, first.cycles, first.kept) == (3, 1, 2, False)
    assert first.reason == "no cycle gave a finite result"
    assert (second.task, second.iteration, second.generation) == ("two", 1, 2)
    assert second.mutations == "insert residual_adapter_0"


def test_sampled_hyperparameters_leave_seed_children_out() -> None:
    sampled = mutations.sampled(ENTRIES)
    assert [child["learning_rate"] for child in sampled] == [0.02, sampled[1]["learning_rate"], 0.05, 0.02, 0.05, 0.05]
    assert {child["num_blocks"] for child in sampled} == {2}
