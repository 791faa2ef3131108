"""Config files: found by name, run safely, and every shipped one with every variant is valid."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

from munet import kinds
from munet.config import Config
from munet.config.checks import validate
from munet.config.files import CONFIG_FILES, load_any_config, load_config
from munet.config.flags import Override, parse_any_config, parse_as, parse_config
from munet.config.pretrain import PretrainConfig
from munet.config.train import TrainConfig
from munet.data.uris import parse_uri
from munet.errors import UserError
from munet.evolution import children
from munet.evolution.judging import root_params
from munet.evolution.search_space import insertions
from munet.vit import architecture

PAPER = [
    "", "munet", "real", "no_autotune", "no_adapters", "multi_head", "full", "top_layers_0", "top_layers_3",
    "adapters_8", "adapters_512", *(f"scale_{s}" for s in ("0.02", "0.3", "0.7", "0.9", "0.95", "0.98", "1")),

    "lora_8", "insert_lora", "no_adapters,insert_lora",
    "scale_0.3,no_autotune", "scale_0.9,no_adapters,no_autotune", "real,scale_0.3", "real,full",
]  # fmt: skip
DECATHLON = [*PAPER, "top_layers_12", "large", "large,top_layers_24", "stand_in", "stand_in,adapters_512"]
SPECS = [
    "demo", "base", "clusters",
    *(f"{name}:{variant}" if variant else name for name in ("characters", "decathlon") for variant in PAPER),
    *(f"decathlon:{variant}" for variant in DECATHLON if variant not in PAPER),
]  # fmt: skip


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_every_shipped_config_opens_with_command_cost_and_result() -> None:
    names = {
        "demo",
        "base",
        "characters",
        "clusters",
        "decathlon",
        "gumbel",
        "joint",
        "pretrain_demo",
        "pretrain_cifar100",
    }
    assert set(CONFIG_FILES.shipped()) >= names
    for name, path in CONFIG_FILES.shipped().items():
        text = path.read_text()
        command = kinds.of(load_any_config(name)).command
        assert command in text, name
        assert "Cost:" in text, name
        assert "Expected result:" in text, name


@pytest.mark.parametrize("spec", SPECS)
def test_every_shipped_config_is_valid(spec: str) -> None:
    assert parse_any_config(spec)


@pytest.mark.parametrize("spec", ["base", "base:quick"])
def test_a_template_waits_for_tasks(spec: str) -> None:
    assert isinstance(template := parse_any_config(spec), Config)
    assert template.experiment.tasks == ()
    with pytest.raises(UserError, match=r"experiment\.tasks is empty: give task URIs"):
        parse_config(spec)
    assert parse_config(spec, [Override("tasks", "tfds:mnist")]).experiment.tasks == ("tfds:mnist",)


@pytest.mark.parametrize("spec", ["pretrain_demo", "pretrain_cifar100", "pretrain_cifar100:subset"])
def test_every_shipped_recipe_is_valid(spec: str) -> None:
    config = parse_as(PretrainConfig, spec)
    assert parse_any_config(spec) == config
    assert "\n" not in config.runtime.card_text  # `munet config` prints it on a line
    with pytest.raises(UserError, match=f"--config={spec} is for munet pretrain, and this is munet evolve"):
        parse_config(spec)


@pytest.mark.parametrize("spec", ["joint", "joint:shared", "joint:shared_adapters", "joint:separate"])
def test_every_shipped_joint_training_is_valid(spec: str) -> None:
    assert parse_any_config(spec) == parse_as(TrainConfig, spec)
    with pytest.raises(UserError, match=f"--config={spec} is for munet train, and this is munet evolve"):
        parse_config(spec)


def test_a_runs_config_is_refused_by_pretrain() -> None:
    with pytest.raises(UserError, match="`munet evolve --config=demo`"):
        parse_as(PretrainConfig, "demo")


def test_demo_keeps_what_the_issue_asks() -> None:
    demo = load_config("demo").experiment
    assert len(demo.tasks) >= 4
    assert demo.stages == ("race",)
    assert 0 < demo.clone_probability < 1  # so that layers are shared
    assert demo.root == "demo"
    assert load_config("demo").runtime.compare == ("tuned", "multi_head")


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


def test_decathlon_is_the_papers_benchmark() -> None:
    paper = load_config("decathlon").experiment
    assert [task.partition("?")[0].removeprefix("tfds:visual_domain_decathlon/") for task in paper.tasks] == [
        "imagenet12", "svhn", "cifar100", "gtsrb", "daimlerpedcls", "omniglot", "ucf101", "aircraft", "dtd",
        "vgg-flowers",
    ]  # fmt: skip
    expected = {"train": "train", "validation": "validation[:50%]", "test": "validation[50%:]", "canvas": "72"}
    assert all(parse_uri(task).options == expected for task in paper.tasks)
    budget = (paper.num_task_iterations, paper.num_generations, paper.children_per_generation, paper.cycles_per_child)
    assert budget == (2, 8, 8, 30)
    assert (paper.batch_size, paper.max_batches_per_cycle, paper.max_validation_batches) == (256, 200, 10)
    assert (paper.variant, paper.num_blocks, paper.min_batches_per_cycle, paper.max_seed_parents) == ("B/16", 12, 0, 0)
    assert (paper.defaults.image_size, *paper.search_space.image_size[:2], max(paper.search_space.image_size)) == (
        80, 16, 32, 384,
    )  # fmt: skip


@pytest.mark.parametrize("spec", ["characters", "decathlon", "decathlon:large"])
def test_the_papers_configs_follow_the_published_code(spec: str) -> None:
    paper = load_config(spec).experiment
    found = paper.fidelity
    assert (found.crop, found.colours, found.momentum_product, found.block_removal) == (
        "tensorflow", "source", "bfloat16", "mu",
    )  # fmt: skip
    if spec != "decathlon:large":
        assert paper.search_space.image_size == tuple(range(16, 385, 16))


def test_the_decathlons_sets_are_those_of_tfds() -> None:
    names = [parse_uri(task).path for task in load_config("decathlon").experiment.tasks]
    assert sorted(names) == [f"visual_domain_decathlon/{config.name}" for config in _decathlon_configs()]


def _decathlon_configs() -> Any:
    return tfds.builder_cls("visual_domain_decathlon").BUILDER_CONFIGS


@pytest.mark.parametrize(
    ("spec", "params"),
    [
        ("characters", 1_484_162),
        ("decathlon", 85_652_738),  # as the published code counts it: at 32 pixels
        ("decathlon:large", 303_303_682),  # at 224
    ],
)
def test_the_roots_have_the_papers_parameters(spec: str, params: int) -> None:
    assert root_params(load_config(spec).experiment) == params


@pytest.mark.parametrize(
    ("spec", "classes", "expected"),
    [  # the paper's, million parameters a task
        ("characters:top_layers_3", (10, 37, 10, 10, 1623, 10, 10, 10), 0.227),
        ("characters:top_layers_1", (10, 37, 10, 10, 1623, 10, 10, 10), 1.006),
        ("characters:full", (10, 37, 10, 10, 1623, 10, 10, 10), 1.525),
        ("characters:adapters_512", (10, 37, 10, 10, 1623, 10, 10, 10), 0.820),
        ("decathlon:multi_head", (1000, 10, 100, 43, 2, 1623, 101, 100, 47, 102), 8.809),
        ("decathlon:top_layers_1", (1000, 10, 100, 43, 2, 1623, 101, 100, 47, 102), 78.98),
        ("decathlon:full", (1000, 10, 100, 43, 2, 1623, 101, 100, 47, 102), 85.91),
        ("decathlon:adapters_512", (1000, 10, 100, 43, 2, 1623, 101, 100, 47, 102), 18.28),
    ],
)
def test_the_baselines_have_the_papers_parameters(spec: str, classes: tuple[int, ...], expected: float) -> None:
    """Unique parameters in use / tasks: each task's own copies and head, and the root's layers that any task shares."""
    experiment = parse_config(spec).experiment
    variant, size = architecture.get_variant(experiment.variant), experiment.defaults.image_size
    count = functools.partial(architecture.num_params, variant, image_size=size)
    trained = children.trained_layers(experiment)
    trunk = set(architecture.path_names(experiment.num_blocks)) - {architecture.HEAD}
    total = sum(count(name) for name in trunk - trained)
    adapters = experiment.num_blocks if experiment.baseline.kind == "adapters" else 0
    for num_classes in classes:
        total += sum(count(name) for name in trained)
        total += adapters * count(architecture.adapter_name(0), adapter_dim=experiment.baseline.adapter_dim)
        total += count(architecture.HEAD, num_classes=num_classes)
    digits = 3 if expected < 10 else 2
    assert round(total / len(classes) / 1e6, digits) == expected


def test_variants_change_what_they_say() -> None:
    changed = load_config("characters:scale_0.3,no_autotune").experiment
    assert (changed.scale_factor, changed.auto_tune, changed.insert_adapters) == (0.3, False, True)
    assert load_config("characters:no_adapters").experiment.insert_adapters is False
    assert load_config("characters:top_layers_2").experiment.baseline.frozen_blocks == 2
    adapters = load_config("characters:adapters_64").experiment.baseline
    assert (adapters.kind, adapters.adapter_dim) == ("adapters", 64)
    lora = load_config("characters:lora_4").experiment.baseline
    assert (lora.kind, lora.lora_rank) == ("lora", 4)
    for variant, expected in (("insert_lora", ("adapter", "lora")), ("no_adapters,insert_lora", ("lora",))):
        assert insertions(load_config(f"characters:{variant}").experiment) == expected
    assert load_config("characters").experiment == load_config("characters:munet").experiment
    assert load_config("decathlon:large,scale_0.3").experiment.scale_factor == 0.3
    assert load_config("decathlon:real,full").runtime.compare == ()


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
        ("decathlon:standin", "Did you mean 'stand_in'"),
        ("decathlon:large,top_layer_1", "Did you mean 'top_layers_1'"),
        ("demo:munet", "there is no variant 'munet'"),
    ],
)
def test_unknown_config_or_variant_names_the_nearest(spec: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(spec)
    assert message in str(caught.value)


def test_variant_of_a_file_without_any_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "from munet.config import Config\n\ndef get_config():\n    return Config()\n")
    with pytest.raises(UserError, match="has no variants; leave out ':fast'"):
        load_config(f"{path}:fast")


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
    assert CONFIG_FILES.find("demo.py") == (Path("demo.py"), "")
    assert CONFIG_FILES.find("demo")[0] == CONFIG_FILES.shipped()["demo"]
    assert CONFIG_FILES.find("configs/demo.py")[0] == CONFIG_FILES.shipped()["demo"]


def test_default_workdir_tells_configs_and_variants_apart() -> None:
    assert CONFIG_FILES.default_workdir("demo") == "runs/demo"
    assert CONFIG_FILES.default_workdir("characters:scale_0.3,no_autotune") == "runs/characters-scale_0.3-no_autotune"
    assert CONFIG_FILES.default_workdir("characters:../x") == "runs/characters-..-x"
