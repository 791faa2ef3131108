"""Suites: what they expand to, and every mistake named at once (munet/suites/suite.py, plan.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.config import Config, Experiment, RoutingExperiment, TrainExperiment
from munet.config.flags import Override
from munet.errors import SuiteError, UserError
from munet.kinds import AnyConfig
from munet.suites.plan import Run, plan
from munet.suites.suite import SUITE_FILES, Method, Suite, paper_methods

TWO = Suite((Method("full", "demo", {"baseline.kind": "full"}), Method("munet", "demo")))


def evolved(run: Run) -> Experiment:
    """The settings of a run of evolution or of a baseline."""
    assert isinstance(run.config, Config)
    return run.config.experiment


def test_a_run_for_every_method_and_seed_seed_by_seed() -> None:
    runs = plan(TWO, "runs/x/", 2)
    assert [(run.method.name, run.seed, run.workdir) for run in runs] == [
        ("full", 0, "runs/x/runs/full/seed_0"),
        ("munet", 0, "runs/x/runs/munet/seed_0"),
        ("full", 1, "runs/x/runs/full/seed_1"),
        ("munet", 1, "runs/x/runs/munet/seed_1"),
    ]
    assert [run.config.experiment.seed for run in runs] == [0, 0, 1, 1]
    assert [evolved(run).baseline.kind for run in runs] == ["full", "", "full", ""]
    assert all(isinstance(run.config, Config) and run.config.runtime.compare == () for run in runs)
    assert [run.method.name for run in plan(TWO, "x", 2, methods=["munet"])] == ["munet", "munet"]


def test_settings_of_the_suite_then_of_the_method_then_of_the_command_line() -> None:
    suite = Suite(
        (Method("a", "demo"), Method("b", "demo", {"batch_size": 7, "learning_rate": 1})),
        tasks=("tfds:x?train=train[5%:,]&test=test", "builtin:digits"),
        settings={"batch_size": 5, "cycles_per_child": 3, "search_space.image_size": (16, 32), "auto_tune": False},
    )
    with pytest.raises(SuiteError) as caught:
        plan(suite, "x", 1)
    assert caught.value.problems[0].startswith("method 'b': --config.learning_rate=1:")
    good = Suite((suite.methods[0], Method("b", "demo", {"batch_size": 7})), suite.tasks, suite.settings)
    a, b = plan(good, "x", 1, [Override("cycles_per_child", "4")])
    assert (evolved(a).batch_size, b.config.experiment.batch_size) == (5, 7)
    assert evolved(a).cycles_per_child == evolved(b).cycles_per_child == 4
    assert a.config.experiment.tasks == suite.tasks
    assert evolved(a).search_space.image_size == (16, 32)
    assert evolved(a).auto_tune is False


def test_all_problems_together() -> None:
    suite = Suite(
        (
            Method("full", "demo"),
            Method("Full", "characters:ful"),
            Method("../x", "demmo"),
            Method("tuned", "demo", {"batch_sizes": 3, "compare": ("full",)}),
            Method("x" * 101, "demo"),
            Method("first", "demo", label="tuned"),
        ),
        tasks=("builtin:digits", "builtin:digits"),
        settings={"tasks": ("builtin:digits",), "experiment.seed": 3},
        against="ful",
        histograms=("tuned", "tund"),
        benchmark="character",
        figures={"figure_9": (), "figure_3": ("curve",)},
    )
    with pytest.raises(SuiteError) as caught:
        plan(suite, "x", 0, [Override("seed", "3")], ["munet"])
    text = str(caught.value)
    for part in (
        "2 methods are called 'full' and would write the same runs",
        "the method '../x' cannot be a folder's name",
        "the methods 'tuned' and 'first' are called 'tuned' in tables and figures: give each its own label.",
        "against names 'ful': no such method. Did you mean 'full'",
        "histograms names 'tund': no such method. Did you mean 'tuned'?",
        "benchmark = 'character'. Did you mean 'characters'?",
        "figures has 'figure_9'. Did you mean 'figure_",
        "figure_3 names the curve 'curve'. There is nothing to choose from.",
        "tasks names 'builtin:digits' more than once",
        "--repeats=0: expected at least 1.",
        "--methods names 'munet': no such method. Did you mean 'tuned'?",
        "--config.seed: a suite gives its runs the seeds 0, 1, ...",
        "settings: experiment.seed: a suite gives its runs the seeds 0, 1, ...",
        "method 'tuned': compare: in a suite baselines are methods of their own.",
        "settings has tasks, and so has the suite: name them once.",
        "x' cannot be a folder's name: use at most 100 letters",
        "method 'Full': --config=characters:ful: there is no variant 'ful'. Did you mean 'full'",
        "method '../x': --config=demmo: there is no config file 'demmo'. Did you mean 'demo'?",
        "method 'tuned': --config.batch_sizes=3: there is no field 'batch_sizes'. Did you mean 'batch_size'",
    ):
        assert part in text, part
    assert text.startswith("The suite has ")


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (Suite(Method("a", "demo")), "methods is of type Method; expected a tuple: (method,) has a comma"),  # type: ignore[arg-type]
        (Suite(("full",)), "methods has 'full'; expected munet.suites.suite.Method."),  # type: ignore[arg-type]
        (Suite((Method("a", 3),)), "method 'a': config is 3; expected a text."),  # type: ignore[arg-type]
        (Suite((Method("a", "demo", "x=3"),)), "method 'a': settings is of type str; expected a dict"),  # type: ignore[arg-type]
        (Suite(TWO.methods, tasks="builtin:digits"), "tasks is 'builtin:digits'; expected a tuple of texts"),  # type: ignore[arg-type]
        (Suite(TWO.methods, figures=("muNet",)), "figures is of type tuple; expected a dict"),  # type: ignore[arg-type]
        (Suite(TWO.methods, against=None), "against is None; expected a text."),  # type: ignore[arg-type]
    ],
)
def test_fields_of_another_type_are_named(suite: Suite, message: str) -> None:
    with pytest.raises(SuiteError) as caught:
        plan(suite, "x", 1)
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_an_empty_suite_is_refused() -> None:
    with pytest.raises(SuiteError, match="methods is empty"):
        plan(Suite(()), "x", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no function get_suite(variant)"),
        ("def get_suite():\n    return 3", "get_suite gave int; expected munet.suites.suite.Suite"),
        (
            "from munet.suites.suite import *\ndef get_suite():\n    return Suite((), budgets=3)",
            "line 3: TypeError: Suite.__init__() got an unexpected keyword argument 'budgets'",
        ),
        ("def get_suite():\n    return 1 / 0", "get_suite failed: "),
    ],
)
def test_a_broken_suite_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        SUITE_FILES.load(str(path))
    assert message in str(caught.value)


def test_a_file_named_from_here_says_the_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("def get_suite(variant):\n    return {}[variant]")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"get_suite failed: mine\.py, line 2: KeyError: 'x'"):
        SUITE_FILES.load("mine.py:x")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("builtn", "--suite=builtn: there is no suite file 'builtn'. Did you mean 'builtin'?"),
        ("demo", "there is no suite file 'demo'"),
        ("builtin:tine", "there is no variant 'tine'. Did you mean 'tiny'?"),
        ("characters:reel", "Did you mean 'real'?"),
    ],
)
def test_an_unknown_suite_or_variant_names_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        SUITE_FILES.load(spec)
    assert message in str(caught.value)


SHIPPED = (
    "builtin",
    "builtin:tiny",
    *(f"characters:{v}" for v in ("paper", "sweep", "real")),
    "decathlon:sweep",
    "decathlon:stand_in",
    *(f"small_budgets:{v}" for v in ("choice", "held_out", "small", "parts")),
)


def budget(config: AnyConfig) -> tuple[int, int]:
    """Batches of a task, and the images of one."""
    experiment = config.experiment
    if isinstance(experiment, TrainExperiment | RoutingExperiment):
        return experiment.num_rounds, experiment.batch_size
    assert isinstance(experiment, Experiment)
    cycles = experiment.num_generations * experiment.children_per_generation * experiment.cycles_per_child
    return experiment.num_task_iterations * cycles * experiment.max_batches_per_cycle, experiment.batch_size


@pytest.mark.parametrize("spec", ["characters", "decathlon", *SHIPPED])
def test_every_shipped_suite_is_sound(spec: str) -> None:
    suite: Suite = SUITE_FILES.load(spec)
    runs = plan(suite, "x", 1)
    assert len(runs) == len(suite.methods)
    # The same image-steps: baselines spread them otherwise, see evolution/schedule.py.
    assert len({budget(run.config) for run in runs}) == 1
    assert len({run.config.experiment.tasks for run in runs}) == 1


def test_every_shipped_suite_opens_with_command_cost_and_result() -> None:
    assert set(SUITE_FILES.shipped()) >= {"builtin", "characters", "decathlon"}
    for name, path in SUITE_FILES.shipped().items():
        text = path.read_text()
        for part in ("munet benchmark", "Cost:", "Expected result:"):
            assert part in text, name


def test_the_papers_suite_has_the_rows_of_table_1_and_the_sweep_every_point_of_figure_3() -> None:
    assert SUITE_FILES.load("characters").names == (
        "multi_head", "full", "adapters_512", "no_autotune", "scale_0.3", "munet",
    )  # fmt: skip
    sweep: Suite = SUITE_FILES.load("characters:sweep")
    runs = {run.method.name: evolved(run) for run in plan(sweep, "x", 1)}
    assert len(runs) == 5 + 7 + 4 * 7
    assert {runs[f"top_layers_{k}"].baseline.frozen_blocks for k in range(4)} == {0, 1, 2, 3}
    both = runs["scale_0.02_no_adapters_no_autotune"]
    assert (both.scale_factor, both.insert_adapters, both.auto_tune) == (0.02, False, False)


def test_methods_of_variants_are_called_after_them() -> None:
    (method,) = paper_methods("characters", {"real,full": "Full"}, "curve")
    assert (method.name, method.config) == ("real_full", "characters:real,full")
    assert (method.title, method.curve) == ("Full", "curve")
