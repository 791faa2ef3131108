"""A suite may have methods of any kind whose results are tasks, side by side in one table (munet/kinds)."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from munet import kinds
from munet.config import Config, TrainConfig
from munet.config.files import CONFIG_FILES, load_any_config
from munet.config.flags import Override
from munet.errors import CorruptionError, SuiteError, WorkdirError
from munet.store import Store, lock
from munet.suites import benchmark, results
from munet.suites.benchmark import Options
from munet.suites.inputs import check_inputs
from munet.suites.plan import plan
from munet.suites.rows import Row
from munet.suites.suite import Method, Suite
from tests.suites import tiny_suite
from tests.suites.rows import rows
from tests.suites.test_benchmark import finish

MIXED = Suite(
    (Method("full", "demo", {"baseline.kind": "full"}), Method("joint", "joint:shared", {"num_rounds": 6})),
    tasks=("builtin:digits",),
    settings={"num_generations": 1, "batch_size": 16},
)


def test_every_config_that_ships_is_of_a_kind() -> None:
    found = {kinds.of(load_any_config(name)).name for name in CONFIG_FILES.shipped()}
    assert found == {kind.name for kind in kinds.KINDS} == {"evolve", "pretrain", "train", "muir", "routing"}
    assert [kinds.named(kind.name) for kind in kinds.KINDS] == list(kinds.KINDS)


def test_settings_go_to_the_methods_that_have_them() -> None:
    full, joint = plan(MIXED, "x", 1, [Override("num_generations", "3"), Override("num_blocks", "2")])
    assert isinstance(full.config, Config)
    assert isinstance(joint.config, TrainConfig)
    assert (full.config.experiment.num_generations, full.config.experiment.num_blocks) == (3, 2)
    assert (joint.config.experiment.num_rounds, joint.config.experiment.num_blocks) == (6, 2)
    assert full.config.experiment.tasks == joint.config.experiment.tasks == ("builtin:digits",)
    assert [run.config.experiment.seed for run in plan(MIXED, "x", 2)] == [0, 0, 1, 1]


def test_a_routed_root_is_compared_with_what_fine_tunes_that_root() -> None:
    routed = Method("routed", "gumbel:characters", {"root": "demo", "variant": "demo/16", "num_rounds": 6})
    mixed = Suite((*MIXED.methods, routed), tasks=MIXED.tasks, settings=MIXED.settings)
    run = plan(mixed, "x", 2)[-1]
    assert (run.seed, run.workdir) == (1, "x/runs/routed/seed_1")
    assert kinds.of(run.config).comparison == kinds.of(Config).comparison
    assert kinds.of(load_any_config("gumbel:mnist")).comparison != kinds.of(Config).comparison
    alike = kinds.of(run.config).alike
    assert alike is not None
    found = alike(run.config).experiment
    assert (found.root, found.variant, found.tasks) == ("demo", "demo/16", ("builtin:digits",))
    assert (found.seed, found.defaults.image_size) == (1, 32)  # seed 1 has the splits of seed 1


def test_copies_of_a_root_that_share_modules_are_compared_with_what_fine_tunes_that_root() -> None:
    shared = Method("muir", "muir:characters", {"root": "demo", "variant": "demo/16", "nets": ("vit",)})
    run = plan(Suite((*MIXED.methods, shared), tasks=MIXED.tasks, settings=MIXED.settings), "x", 2)[-1]
    assert (run.seed, run.workdir) == (1, "x/runs/muir/seed_1")  # a training for each seed: it is no cheap one
    kind = kinds.of(run.config)
    assert kind.comparison == kinds.of(Config).comparison
    assert kind.alike is not None
    found = kind.alike(run.config).experiment
    assert (found.root, found.variant, found.tasks) == ("demo", "demo/16", ("builtin:digits",))
    assert (found.seed, found.defaults.image_size) == (1, 32)  # seed 1 has the splits of seed 1
    others = Method("lenets", "muir:characters", {"nets": ("lenet",)})
    with pytest.raises(SuiteError, match=r"lenets: values; joint: accuracies"):
        plan(Suite((others, MIXED.methods[1]), MIXED.tasks), "x", 1)


def test_what_a_suite_cannot_have_is_said() -> None:
    with pytest.raises(SuiteError, match=r"pretrain_demo is for munet pretrain: its result is a root"):
        plan(Suite((Method("root", "pretrain_demo"),)), "x", 1)
    with pytest.raises(SuiteError, match=r"replicas = 2, and --repeats=3 seeds are no multiple.*Use --repeats=4"):
        plan(Suite((Method("joint", "joint", {"replicas": 2}),)), "x", 3)
    with pytest.raises(SuiteError, match=r"experiment\.replicas: a suite trains all seeds of this method together"):
        plan(Suite((Method("muir", "muir", {"replicas": 2}),)), "x", 2)
    with pytest.raises(SuiteError, match="num_generatons"):
        plan(Suite((Method("joint", "joint"),), settings={"num_generatons": 2}), "x", 1)
    several = Suite((Method("full", "demo", {"tasks": "builtin:digits"}), Method("joint", "joint")))
    with pytest.raises(SuiteError, match=r"'joint' has builtin:glyphs/cyrillic, .*, which 'full' has not: kinds are"):
        plan(several, "x", 1)


def test_a_method_with_replicas_has_the_seeds_of_all(tmp_path: Path) -> None:
    runs = plan(replace(MIXED, methods=(MIXED.methods[0], Method("joint", "joint", {"replicas": 2}))), "x", 4)
    assert [run.name for run in runs] == [
        "full, seed 0", "joint, seeds 0 to 1", "full, seed 1", "full, seed 2", "joint, seeds 2 to 3", "full, seed 3"
    ]  # fmt: skip
    assert [run.workdir for run in runs if run.num_seeds == 2] == ["x/runs/joint/seeds_0-1", "x/runs/joint/seeds_2-3"]
    both = [run.config.experiment for run in runs if isinstance(run.config, TrainConfig)]
    assert [(one.seed, one.replicas) for one in both] == [(0, 2), (2, 2)]


def test_files_of_the_first_version_are_read(tmp_path: Path) -> None:
    old = rows("full", [[0.1, 0.7]])
    results.write(str(tmp_path), old)
    table = pq.read_table(tmp_path / results.FILE).drop_columns(["kind"])
    metadata = {b"munet.format": b"munet-results", b"munet.format_version": b"1"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / results.FILE)
    assert results.read(str(tmp_path)) == old  # all of them evolved
    pq.write_table(table.drop_columns(["device"]).replace_schema_metadata(metadata), tmp_path / results.FILE)
    with pytest.raises(CorruptionError, match="has other columns than it should"):
        results.read(str(tmp_path))


@pytest.mark.slow
def test_a_mixed_suite_gives_one_table(tmp_path: Path) -> None:
    file = tiny_suite.write(tmp_path)
    text = file.read_text().replace(
        'Method("munet", "demo:paper", label="muNet")',
        'Method("joint", "joint:shared", {"num_rounds": 4, "validate_every": 2}, label="Joint fine-tuning")',
    )
    text = text.replace('"demo"', '"demo:paper"')  # phases, which the suite's settings make tiny
    file.write_text(text)
    workdir = tmp_path / "suite"
    finish(str(file), workdir, "--repeats=1")
    found = results.read(str(workdir))
    assert [(row.method, row.kind, row.seed, row.task) for row in found] == [
        ("full", "evolve", 0, "left"),
        ("full", "evolve", 0, "digits"),
        ("joint", "train", 0, "left"),
        ("joint", "train", 0, "digits"),
    ]
    joint = found[2:]
    assert [row.image_steps for row in joint] == [64, 64]
    assert {row.run_image_steps for row in joint} == {128}
    assert sum(row.accounted_params for row in joint) == pytest.approx(joint[0].total_params)
    assert {row.baseline for row in joint} == {""}
    assert len({getattr(row, "root_sha256") for row in found}) == 1  # noqa: B009
    assert len({row.fingerprint for row in found}) == 2
    assert {item.name for item in fields(Row)} >= {"kind"}
    page = (workdir / "results.md").read_text()
    assert "Joint fine-tuning" in page
    options = Options(str(file), str(workdir), repeats=1)
    _, runs = benchmark.read(options)
    assert all(map(benchmark.is_complete, runs))
    check_inputs(runs)
    _, changed = benchmark.read(Options(str(file), str(workdir), repeats=1, overrides=(Override("clip_norm", "2"),)))
    with pytest.raises(SuiteError, match=r"runs/joint/seed_0 holds a run of 'joint' with other settings"):
        check_inputs(changed)


def test_what_the_table_imports_later_is_there() -> None:
    for kind in kinds.KINDS:
        assert kind.rules
        assert isinstance(kind.defaults, type(kind.config().experiment))
        named = [kind.print_status, kind.comparison and kind.comparison.report]
        named += [kind.method.prepare, kind.method.result] if kind.method else []
        assert all(callable(later()) for later in named if later)
        assert (kind.method is None) == (kind.name == "evolve")


def test_a_work_directory_tells_its_kind(tmp_path: Path) -> None:
    assert kinds.found(str(tmp_path)) is None
    for kind in kinds.KINDS[1:]:
        (tmp_path / kind.name).mkdir()
        (tmp_path / kind.name / kind.start).write_text("{}")
        assert kinds.found(str(tmp_path / kind.name)) is kind
        with pytest.raises(WorkdirError, match=f"There is no run in .*, but a {kind.what}"):
            Store.open(tmp_path / kind.name)
        with pytest.raises(WorkdirError, match=f"holds a {kind.what} and no run"):
            Store.create_or_open(tmp_path / kind.name)
        with pytest.raises(WorkdirError, match=f"holds a {kind.what} and no suite: give a new or empty directory"):
            lock.check_usable(tmp_path / kind.name, (), "suite")
