"""Tasks of several architectures and objectives in one training: shared modules, kills, recurrent states, words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from munet.errors import ConfigError
from munet.joint.learner import Place
from munet.joint.loop import Training
from munet.joint.run import train
from munet.joint.workdir import Workdir
from munet.methods.muir import alignment, job
from munet.methods.muir.alignment import Search
from munet.methods.muir.learner import Muir
from munet.methods.muir.metrics import METRICS
from munet.methods.muir.objectives import judged
from munet.methods.muir.result import MUIR, MuirTaskResult
from munet.report import muir_status
from munet.store import codec
from tests.methods.muir.small import mixed
from tests.methods.muir.test_job import run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mixed")
    return folder, run(mixed(folder), folder / "run")


def test_models_of_several_kinds_share_modules(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, found = whole
    (one,) = found["result"]["replicas"]
    metrics = {name: task["metric"] for name, task in one["tasks"].items()}
    assert metrics == {"small": "bits a byte", "small/0": "RMSE", "small/1": "RMSE"}
    counts = found["decisions"][-1]["record"]["modules"]
    assert any("+" in tasks and "0" in tasks for tasks in counts)  # the LSTM and a linear model
    assert any("+" not in tasks for tasks in counts)
    # The plain weights are the models that were tested.
    prepared = job.prepare(mixed(folder))
    weights = load_file(folder / "run" / one["weights"])
    learner = prepared.learner
    assert isinstance(learner, Muir)
    task = prepared.tasks[0]
    net = learner.net_of("small")
    own = {path: jax.numpy.asarray(weights[f"small/{path}"]) for path in net.leaves}
    with task.testing():
        split = task.split("test")
        cut = split.decoded[: 10 * (len(split) // 10)].reshape(10, -1)
        steps = cut.shape[1] // 7 * 7
        wanted = split.labels[: cut.size].reshape(10, -1)[:, :steps]
        losses = judged(net, own, jax.numpy.asarray(cut[:, :steps]), jax.numpy.asarray(wanted), net.start(10)).losses
    assert float(losses.mean()) == pytest.approx(one["tasks"]["small"]["test_loss"], rel=1e-4)


def test_the_validation_loss_is_what_the_best_version_is_chosen_by(whole: tuple[Path, dict[str, Any]]) -> None:
    """Each task counts as much as any other, however many predictions it has."""
    _, found = whole
    for line in found["curve"]:
        assert line["validation_loss"] == pytest.approx(np.mean(list(line["validation_losses"].values())), rel=1e-12)
    searched = [line for line in found["curve"] if line["step"] <= 24]
    best = min(searched, key=lambda line: line["validation_loss"])
    assert found["result"]["replicas"][0]["best_round"] == best["step"]


def test_every_task_is_told_at_its_own_best_round(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, found = whole
    for name, task in found["result"]["replicas"][0]["tasks"].items():
        losses = {line["step"]: line["validation_losses"][name] for line in found["curve"]}
        best = min(losses, key=lambda step: losses[step])
        assert (task["own_best_round"], task["own_best_validation_loss"]) == (best, losses[best])
        status = muir_status.status_json(str(folder / "run"))["replicas"][0]["tasks"][name]
        of_loss = METRICS[task["metric"]].of_loss
        assert of_loss is not None
        assert (status["own_best_round"], status["own_best_validation"]) == (best, of_loss(losses[best]))
    said = Workdir(folder / "run", MUIR).result().lines()
    assert all("; alone best in round " in line and ", validation " in line for line in said[1:])


def test_results_of_older_versions_say_no_validation_of_a_task_alone(whole: tuple[Path, dict[str, Any]]) -> None:
    _, found = whole
    task = dict(found["result"]["replicas"][0]["tasks"]["small"])
    for name in [name for name in task if name.startswith("own_best_validation")]:
        del task[name]
    older = codec.from_json(MuirTaskResult, task, "result.json")
    assert older.own_best_quality is None
    assert older.quality() == pytest.approx(task["test_loss"] / np.log(2))


def test_a_text_that_is_killed_goes_on_bit_for_bit(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found = whole
    calls = []

    def stopped(self: Any, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 4:  # inside a generation, where the recurrent state is not zero
            raise KeyboardInterrupt
        return original(self, *arguments)

    original = Training._check_losses
    monkeypatch.setattr(Training, "_check_losses", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(mixed(folder, checkpoint_minutes=0), tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run" / "in_training").exists()
    assert run(mixed(folder), tmp_path / "run") == found


@pytest.mark.parametrize("sharing", ["search", "separate"])
def test_every_generation_begins_a_text_with_zeros(tmp_path: Path, sharing: str) -> None:
    changes = {"context": 0} if sharing == "separate" else {}
    prepared = job.prepare(mixed(tmp_path, sharing=sharing, **changes))
    assert prepared.length.decide_every == prepared.length.validate_every
    learner = prepared.learner
    state = learner.initial(0)
    going = state._replace(carries=jax.tree.map(np.ones_like, state.carries))
    decided, _ = learner.decide(going, Place(0, 6, 30))
    assert all(not leaf.any() for leaf in jax.tree.leaves(decided.carries))
    assert jax.tree.leaves(decided.carries)


def test_without_sharing_between_tasks_each_has_modules_of_its_own() -> None:
    pools = np.repeat([0, 1, 2], [40, 10, 30])
    incumbent = np.arange(80, dtype=np.int32)
    incumbent[5] = 6  # module 5 is free
    seen: set[int] = set()
    for number in range(40):
        found = alignment.ask(incumbent, Search(80, 2, 1.0, 0.3), ("x", number), pools)
        owner = pools[found.candidates]
        np.testing.assert_array_equal(owner, np.broadcast_to(pools, owner.shape))
        seen |= set(found.candidates[1:, 40:50].ravel().tolist())
        assert set(found.fresh) <= {5}
    assert seen == set(range(40, 50))


def test_hierarchical_alignment_goes_by_place(tmp_path: Path) -> None:
    learner = job.prepare(mixed(tmp_path, sharing="hierarchical", context=0)).learner
    assert isinstance(learner, Muir)
    state = learner.initial(0)
    mapping = state.candidates[0]
    for task in range(3):
        assert mapping[learner.plan.task_of == task].tolist() == list(range((learner.plan.task_of == task).sum()))
    # There are as many modules as the largest model has blocks.
    longest = max((learner.plan.task_of == task).sum() for task in range(3))
    assert len(state.trained.modules) == learner.search.num_modules == longest < learner.plan.num_locations
    job.prepare(mixed(tmp_path, sharing="hierarchical", context=0, modules=int(longest)))
    with pytest.raises(ConfigError, match=rf"modules = {longest - 1}: the largest model has {longest} blocks"):
        job.prepare(mixed(tmp_path, sharing="hierarchical", context=0, modules=int(longest) - 1))
    # A shared block begins with the deviation of the place that had it first.
    stds = state.trained.modules[mapping].std(axis=(1, 2, 3))
    first = np.array([np.flatnonzero(mapping == module)[0] for module in mapping])
    np.testing.assert_allclose(stds, stds[first])
    assert stds.mean() == pytest.approx(learner.plan.deviations[first].mean(), rel=0.2)


def test_status_says_each_tasks_metric(whole: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = whole
    muir_status.print_status(str(folder / "run"), as_json=False, options=())
    said = " ".join(capsys.readouterr().out.split())
    assert "small: test bits a byte" in said
    assert "the lower the better" in said
    found = muir_status.status_json(str(folder / "run"))["replicas"][0]
    assert found["test_rmse"] is None
    assert found["tasks"]["small"]["metric"] == "bits a byte"
    assert not found["tasks"]["small"]["higher_is_better"]


def test_architectures_that_are_not_for_their_tasks_are_named_together(tmp_path: Path) -> None:
    settings = mixed(tmp_path, nets=("lenet", "lstm_8", "linear"))
    with pytest.raises(ConfigError) as caught:
        job.prepare(settings)
    text = str(caught.value)
    assert "lenet for small. Valid: lstm_128, awd_lstm_1136." in text
    assert "lstm_8 for small/0. Valid: linear." in text
    with pytest.raises(ConfigError, match=r"nets has 1 entry for 3 tasks(.|\n)*batch_sizes has 0: expected"):
        mixed(tmp_path, nets=("linear",), batch_sizes=(0, 1, 1))


def test_pieces_that_are_longer_than_a_text_are_refused_with_its_length(tmp_path: Path) -> None:
    said = r"text_steps = 9,001 is more than small has symbols for training \((\d,\d+)\)"
    with pytest.raises(ConfigError, match=said) as caught:
        job.prepare(mixed(tmp_path, text_steps=9_001))
    length = int(str(caught.value).split("(")[1].split(")")[0].replace(",", ""))
    assert job.prepare(mixed(tmp_path, text_steps=length)).streams[0].batch_size == 1


def test_a_dry_run_tells_of_all(tmp_path: Path) -> None:
    said: list[str] = []
    train(mixed(tmp_path), "", lambda event: said.append(getattr(event, "text", "")), is_dry_run=True)
    assert said[0].startswith("blocks of 8 x 4 hang over the edges of weights")
    assert said[1].startswith("MUiR + Optimization: 3 tasks")
