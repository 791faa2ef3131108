"""Config files: found by name, run safely, and every shipped one with every variant is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.config import validate
from munet.config_files import default_workdir, find_config, load_config, shipped_configs
from munet.errors import UserError
from munet.flags import parse_config

CHARACTERS = [
    "", "munet", "real", "no_autotune", "no_adapters", "multi_head", "full", "top_layers_0", "top_layers_3",
    "adapters_8", "adapters_512", *(f"scale_{s}" for s in ("0.02", "0.3", "0.7", "0.9", "0.95", "0.98", "1")),
    "scale_0.3,no_autotune", "scale_0.9,no_adapters,no_autotune", "real,scale_0.3", "real,full",
]  # fmt: skip


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_every_shipped_config_opens_with_command_cost_and_result() -> None:
    assert set(shipped_configs()) >= {"demo", "characters"}
    for name, path in shipped_configs().items():
        text = path.read_text()
        assert "munet evolve" in text, name
        assert "Cost:" in text, name
        assert "Expected result:" in text, name


@pytest.mark.parametrize("spec", ["demo", *(f"characters:{v}" if v else "characters" for v in CHARACTERS)])
def test_every_shipped_config_is_valid(spec: str) -> None:
    parse_config(spec)


def test_demo_keeps_what_the_issue_asks() -> None:
    demo = load_config("demo").experiment
    assert len(demo.tasks) >= 4
    assert demo.num_task_iterations >= 2
    assert 0 < demo.max_seed_parents <= demo.children_per_generation * demo.num_generations / 4
    assert demo.root == "demo"
    assert load_config("demo").runtime.compare == ("multi_head", "full")


def test_characters_is_the_papers_benchmark() -> None:
    paper = load_config("characters").experiment
    assert [task.removeprefix("tfds:") for task in paper.tasks] == [
        "emnist/digits", "emnist/letters", "kmnist", "mnist", "omniglot?split=paper",
        "cmaterdb/bangla", "cmaterdb/devanagari", "cmaterdb/telugu",
    ]  # fmt: skip
    budget = (paper.num_task_iterations, paper.num_generations, paper.children_per_generation, paper.cycles_per_child)
    assert budget == (2, 8, 8, 5)
    assert (paper.batch_size, paper.max_batches_per_cycle, paper.max_validation_batches) == (512, 100, 10)
    assert (paper.variant, paper.num_blocks, paper.min_batches_per_cycle, paper.max_seed_parents) == ("Ti/16", 3, 0, 0)


def test_variants_change_what_they_say() -> None:
    changed = load_config("characters:scale_0.3,no_autotune").experiment
    assert (changed.scale_factor, changed.auto_tune, changed.insert_adapters) == (0.3, False, True)
    assert load_config("characters:no_adapters").experiment.insert_adapters is False
    assert load_config("characters:top_layers_2").experiment.baseline.frozen_blocks == 2
    adapters = load_config("characters:adapters_64").experiment.baseline
    assert (adapters.kind, adapters.adapter_dim) == ("adapters", 64)
    assert load_config("characters").experiment == load_config("characters:munet").experiment


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("charcters", "Did you mean 'characters'"),
        ("nowhere/demo.py", "there is no config file 'nowhere/demo.py'"),
        ("", "there is no config file"),
        ("configs", "there is no config file"),
        ("characters:no_autotun", "Did you mean 'no_autotune'"),
        ("characters:scal_0.3", "Did you mean 'scale_0.3'"),
        ("characters:scale_x", "'x' is not the number expected after 'scale_'"),
        ("characters:top_layers_1.5", "'1.5' is not the number"),
        ("characters:scale_0.3,", "there is no variant ''"),
        ("demo:munet", "has no variants; leave out ':munet'"),
    ],
)
def test_unknown_config_or_variant_names_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(spec)
    assert message in str(caught.value)


def test_variant_out_of_range_is_refused_by_validation() -> None:
    with pytest.raises(UserError, match=r"scale_factor = 1\.5"):
        validate(load_config("characters:scale_1.5"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no function get_config"),
        ("get_config = 3", "has no function get_config"),
        ("def get_config():\n    return 3", "gave int; expected munet.config.Config"),
        ("def get_config():\n    return None", "gave NoneType"),
        ("\nimport nothing_of_that_name", "line 2: ModuleNotFoundError"),
        ("def get_config(:", "line 1: SyntaxError"),
        ("def get_config():\n\n    return 1 / 0", "get_config failed: "),
        ("def get_config():\n\n    return 1 / 0", "line 3: ZeroDivisionError"),
    ],
)
def test_broken_config_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(write(tmp_path, text))
    assert message in str(caught.value)
    assert "mine.py" in str(caught.value)


def test_a_config_file_that_exists_goes_before_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from munet.config import *\n\ndef get_config(variant='a'):\n    return Config(Experiment(tasks=(variant,)))"
    spec = write(tmp_path, text)
    assert load_config(spec).experiment.tasks == ("a",)
    assert load_config(f"{spec}:b:c").experiment.tasks == ("b:c",)
    (tmp_path / "demo.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert find_config("demo.py") == (Path("demo.py"), "")
    assert find_config("demo")[0] == shipped_configs()["demo"]
    assert find_config("configs/demo.py")[0] == shipped_configs()["demo"]


def test_default_workdir_tells_configs_and_variants_apart() -> None:
    assert default_workdir("demo") == "runs/demo"
    assert default_workdir("characters:scale_0.3,no_autotune") == "runs/characters-scale_0.3-no_autotune"
    assert default_workdir("characters:../x") == "runs/characters-..-x"
