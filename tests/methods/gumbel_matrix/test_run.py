"""A routed training from the command's settings to its result, its status and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from PIL import Image

from munet.config import RoutingConfig
from munet.config.files import CONFIG_FILES
from munet.config.flags import Override, parse_any_config, parse_as, parse_of
from munet.config.routing import RoutingExperiment, ignored_settings
from munet.config.train import TrainConfig
from munet.errors import ConfigError, UserError, WorkdirError
from munet.joint import run
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import networks, penalties
from munet.methods.gumbel_matrix.components import Conv, Dense
from munet.methods.gumbel_matrix.job import prepare
from munet.methods.gumbel_matrix.network import Layer, Network
from munet.methods.gumbel_matrix.result import ROUTING, RoutingResult
from munet.progress.events import Event, Note
from munet.report import status
from munet.report.verify.verify import remeasure, verify
from munet.serving import command
from munet.suites.rows import rows_of
from munet.system import view
from munet.system.routed import open_routed
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed


def notes(config: RoutingConfig, workdir: Path) -> list[str]:
    found: list[Event] = []
    assert run.train(config, str(workdir), found.append)
    return [event.text for event in found if isinstance(event, Note)]


@pytest.mark.parametrize("replicas", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_sines_are_trained_published_and_shown(
    tmp_path: Path, replicas: int, capsys: pytest.CaptureFixture[str]
) -> None:
    said = notes(routed.sines(tmp_path, replicas=replicas), tmp_path / "run")
    result = Workdir(tmp_path / "run", ROUTING).result()
    assert isinstance(result, RoutingResult)
    assert [replica.seed for replica in result.replicas] == list(range(replicas))
    task = result.replicas[0].tasks["a"]
    assert task.test_loss is not None
    assert task.test is None
    assert len(task.rows[0]) == 4
    assert len(task.components) == task.rows[0].count("1")
    last = Workdir(tmp_path / "run", ROUTING).decisions()[-1]
    assert last.round == result.num_rounds
    place = Workdir(tmp_path / "run", ROUTING).components
    assert all(place.get(identity) for identity in task.components.values())
    assert any("used, · not used" in line for line in said)
    status.print_status(str(tmp_path / "run"))
    shown = capsys.readouterr().out
    assert "a_again" in shown
    assert task.rows[0].replace("1", "█").replace("0", "·") in shown
    status.print_status(str(tmp_path / "run"), wide=True)
    shown = capsys.readouterr().out
    assert shown.count("how many of 4 tasks use each component") == replicas
    assert shown.count("used, · not used") == replicas
    status.print_status(str(tmp_path / "run"), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["complete"], len(found["replicas"])) == ("routing", True, replicas)
    again = notes(routed.sines(tmp_path, replicas=replicas), tmp_path / "run")
    assert again[0].endswith("is complete; nothing is left to do.")


@pytest.mark.slow
def test_the_best_version_is_what_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(penalties, "total", _that_ruins)
    notes(routed.sines(tmp_path, keep="loss", validate_every=3, num_rounds=60), tmp_path / "run")
    place = Workdir(tmp_path / "run", ROUTING)
    best = min(place.curve(), key=lambda point: sum(point.validation_losses.values()))
    assert best.step < 60
    result = place.result()
    assert {name: task.validation_loss for name, task in result.replicas[0].tasks.items()} == best.validation_losses
    for name, task in result.replicas[0].tasks.items():  # other samples of the same task
        assert task.test_loss == pytest.approx(best.validation_losses[name], rel=0.2)


def _that_ruins(experiment: Any, params: Any, logits: Any, task: Any, progress: Any) -> Any:
    """A penalty that drives outputs off after some updates."""
    del experiment, logits, task
    return jnp.where(progress > 0.4, -1.0, 0.0) * sum(leaf.sum() for leaf in jax.tree.leaves(params))


@pytest.mark.slow
def test_images_have_accuracies(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    said = notes(routed.config(tmp_path), tmp_path / "run")
    assert any("test accuracy" in line for line in said)
    result = Workdir(tmp_path / "run", ROUTING).result()
    task = result.replicas[0].tasks["first"]
    assert task.test is not None
    assert task.validation is not None
    assert {"stem", "head"} <= set(task.components)


@pytest.mark.slow
def test_a_routed_root_is_verified_and_predicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write_data(tmp_path)
    notes(routed.root(tmp_path, p_init=(0.5,)), tmp_path / "run")
    place = str(tmp_path / "run")
    report = verify(place, remeasure())
    assert report.is_sound
    assert (report.num_models, report.num_tested) == (2, 2)
    opened = open_routed(place)
    assert sum(task.accounted_params for task in opened.tasks.values()) == report.total_params
    rows = rows_of(place, "routed", "Routing")
    assert rows is not None
    assert [(row.task, row.kind, row.image_steps) for row in rows] == [
        ("first", "routing", 48),
        ("second", "routing", 48),
    ]
    assert rows[0].total_params == report.total_params == round(sum(row.accounted_params for row in rows))
    assert rows[0].root_name
    Image.new("RGB", (20, 20), "white").save(tmp_path / "white.png")
    options = command.Options(place, [str(tmp_path / "white.png")], all_tasks=True, form="json")
    assert command.predict(options)
    (answer,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert set(answer["predictions"]) == {"first", "second"}
    with pytest.raises(UserError, match="say which task, --task=NAME, or --all_tasks"):
        command.predict(command.Options(place, [str(tmp_path / "white.png")]))
    file = next(Path(place, "components").glob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert not verify(place).is_sound


def test_who_reads_vits_says_what_is_there(tmp_path: Path) -> None:
    notes(routed.sines(tmp_path), tmp_path / "run")
    (tmp_path / "muir").mkdir()
    (tmp_path / "muir" / "muir.json").touch()
    assert verify(str(tmp_path / "run")).is_sound
    with pytest.raises(UserError, match="but a routed training, which this command does not read: `munet status"):
        view.open(str(tmp_path / "run"))
    with pytest.raises(UserError, match="have numbers as inputs, no images"):
        command.predict(command.Options(str(tmp_path / "run"), ["."], task="a"))
    with pytest.raises(UserError, match="but a MUiR training, which this command does not read: `munet status"):
        view.open(str(tmp_path / "muir"))
    assert not verify(str(tmp_path / "muir")).is_sound


def test_what_cannot_be_checked_is_no_sound_training(tmp_path: Path) -> None:
    notes(routed.sines(tmp_path, num_rounds=1, validate_every=1), tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    assert any("not complete" in line for line in verify(str(tmp_path / "run")).notes)
    begun = tmp_path / "run" / "routing.json"
    begun.write_text(json.dumps(json.loads(begun.read_text()) | {"format_version": 99}))
    with pytest.raises(WorkdirError, match="format version 99"):
        verify(str(tmp_path / "run"))


def test_who_predicts_knows_the_shape_of_images(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    begun = prepare(routed.config(tmp_path)).beginning
    assert begun.root == {}
    assert all(len(info.image_shape) == 3 for info in begun.tasks)


VARIANTS = ["", "synthetic", "synthetic,none", "synthetic,shared", "pair", "pair,none"]
VARIANTS += [f"mnist{change}" for change in ("", ",budget", ",none", ",shared", ",shared,sum")]
VARIANTS += ["omniglot", "omniglot,shared", "omniglot_small", "omniglot_small,shared", "clusters", "clusters_small"]
VARIANTS += [f"{name}{change}" for name in ("characters", "demo") for change in ("", ",shared", ",one")]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_valid(variant: str) -> None:
    spec = f"gumbel:{variant}" if variant else "gumbel"
    assert parse_any_config(spec) == parse_of("munet train", TrainConfig, spec)


def test_a_config_of_another_command_is_refused() -> None:
    with pytest.raises(UserError, match="--config=demo is for munet evolve, and this is munet train"):
        parse_of("munet train", TrainConfig, "demo")
    with pytest.raises(UserError, match="no variant 'synthetik'"):
        CONFIG_FILES.load("gumbel:synthetik")


def problems(**changes: str) -> list[str]:
    overrides = [Override(name, value) for name, value in changes.items()]
    with pytest.raises(ConfigError) as found:
        parse_as(RoutingConfig, "gumbel:synthetic", overrides)
    return list(found.value.problems)


def test_all_problems_of_a_config_are_told_together() -> None:
    found = problems(allocation="given", rows="101,0120,1111", p_init="0.5,1.5", budget="0", keep="quality")
    assert any("experiment.budget" in line for line in found)
    assert any(line.startswith("experiment.rows has 3 rows, for 4 tasks") for line in found)
    assert any("'101' is not of the size" in line and "'1111'" in line for line in found)
    assert any("'0120': expected 0, 1 and |" in line for line in found)
    assert any("experiment.p_init has 1.5: probabilities are from 0 to 1" in line for line in found)
    assert any("experiment.p_init has 2 numbers: give one, or 16" in line for line in found)
    assert any("have no accuracy; use 'loss' or 'last'" in line for line in found)


_IMAGES = {"made": "", "tasks": "tfds:mnist,tfds:kmnist", "network": "vit", "is_grey": "false", "image_size": "32"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"budget": "1.5"}, "experiment.budget"),
        ({"made": "pair", "network": "sines", "allocation": "own"}, "in every layer: 2, not 4."),
        ({"network": "mnist"}, "not made for numbers: use 'sines_parallel', 'sines'"),
        ({"tasks": "tfds:mnist"}, "give one of them"),
        ({"made": "", "network": "mnist"}, "experiment.tasks is empty"),
        ({"rows": "1111"}, "experiment.rows is for allocation='given'"),
        ({"num_rounds": "0"}, "give the length of training"),
        ({**_IMAGES, "is_grey": "true"}, "a root sees three channels"),
        ({**_IMAGES, "versions": "1"}, "there is one version of each block, which every task uses"),
        ({**_IMAGES, "variant": "Ty/16"}, "no ViT variant 'Ty/16'"),
        ({**_IMAGES, "num_blocks": "4"}, "experiment.num_blocks = 4: demo/16 has 3 blocks"),
        ({**_IMAGES, "image_size": "40"}, "is no multiple of demo/16's patch size 16: use 32 or 48"),
        ({**_IMAGES, "allocation": "own"}, "in every layer: 2, not 3."),
        ({"router_learning_rate": "-0.002"}, "rates are 0 or more; -1 means as learning_rate"),
        ({**_IMAGES, "p_init": "0.5,0.5"}, "give one, or 18, one for each of 2 tasks and 9 components"),
    ],
)
def test_each_is_named_with_what_would_be_right(changes: dict[str, str], expected: str) -> None:
    assert any(expected in line for line in problems(**changes))


def test_logits_that_do_not_learn_are_allowed_and_said(tmp_path: Path) -> None:
    config: Any = routed.sines(tmp_path, router_learning_rate=0, p_init=(0.3,))
    said: list[str] = []
    prepare(config, said.append)
    assert "router_learning_rate = 0: connections stay as probable as p_init says (0.3)." in said


@pytest.mark.parametrize("size", [10, 11])
def test_what_follows_a_layer_may_not_fit_either(size: int) -> None:
    experiment = RoutingExperiment(tasks=("builtin:digits",), network="mnist", image_size=size)
    (problem,) = networks.network(experiment).problems()
    assert problem.startswith("what follows layer 1: windows of 2 x 2 do not fit images of 1 x")


def test_settings_without_an_effect_are_named_with_the_reason() -> None:
    shared = RoutingExperiment(made="two_pairs", network="sines", allocation="all", budget=0.75, rho=0.0)
    assert ignored_settings(shared) == [
        "experiment.budget (with allocation='all')", "experiment.rho (with made='two_pairs')"
    ]  # fmt: skip
    of_root = RoutingExperiment(network="vit", inverts=True, padding=4)
    assert ignored_settings(of_root) == [
        "experiment.inverts (with network=\"vit\")", "experiment.padding (with network=\"vit\")"
    ]  # fmt: skip
    of_none = RoutingExperiment(network="mnist", versions=2, warmup_ratio=0.2)
    assert ignored_settings(of_none) == [
        "experiment.versions (with network=\"mnist\")", "experiment.warmup_ratio (with schedule=\"constant\")"
    ]  # fmt: skip
    assert ignored_settings(RoutingExperiment(made="pair", network="sines", rho=0.0, budget=0.5)) == []


def test_components_of_other_shapes_are_named_with_their_shapes() -> None:
    network = Network((8, 8, 1), (Layer(((Conv(4, (3, 3)),), (Conv(4, (3, 3), padding="VALID"),))),))
    assert network.problems() == [
        "layer 0: its components must have outputs of one shape, and give component 0 8 x 8 x 4, component 1 6 x 6 x 4."
    ]
    small = Network((2, 2, 1), (Layer(((Conv(4, (3, 3), padding="VALID"),),)),))
    assert small.problems() == ["component 0 of layer 0: windows of 3 x 3 do not fit images of 2 x 2."]
    assert Network((4,), (Layer(((Dense(4),), (Dense(4),))),)).problems() == []
