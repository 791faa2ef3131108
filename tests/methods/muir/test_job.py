"""`munet train` with MUiR: whole trainings, killed ones, replicas, and what is refused."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from munet.config.checks import validate
from munet.config.muir import MuirConfig
from munet.errors import ConfigError, DataError
from munet.joint.loop import Training
from munet.joint.run import train
from munet.methods.muir import fresh, job
from munet.methods.muir.folding import sizes, unfolded_blocks
from munet.methods.muir.learner import Muir
from tests.methods.muir.small import NUM_TASKS, config


def run(settings: MuirConfig, workdir: Path) -> dict[str, Any]:
    """Trains, and reads what is there at the end, without times."""
    train(settings, str(workdir), lambda _: None)
    lines = {name: [json.loads(line) for line in (workdir / f"{name}.jsonl").read_text().splitlines()]
             for name in ("curve", "decisions") if (workdir / f"{name}.jsonl").exists()}  # fmt: skip
    result = json.loads((workdir / "result.json").read_text())
    for line in (*lines["curve"], result):
        del line["seconds"]
    files = [(workdir / one[name]).read_bytes() for one in result["replicas"] for name in ("file", "weights")]
    return {**lines, "result": result, "files": files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(config(folder, replicas=2), folder / "run")


def test_a_training_end_to_end(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, found = whole
    assert [line["step"] for line in found["curve"][::2]] == [6, 12, 18, 24, 30]
    assert [(line["round"], line["seed"]) for line in found["decisions"]] == [
        (step, seed) for step in (6, 12, 18, 24) for seed in (0, 1)
    ]
    assert [one["seed"] for one in found["result"]["replicas"]] == [0, 1]
    for one in found["result"]["replicas"]:
        arrays = load_file(folder / "run" / one["file"])
        assert len(one["mapping"]) == len(arrays["alignment"]) == NUM_TASKS
        assert len(arrays["contexts"]) + len(arrays["blocks"]) == NUM_TASKS
        uses = Counter(one["mapping"])
        assert len(arrays["modules"]) == sum(count > 1 for count in uses.values())
        # The file makes the models that were tested.
        weights = unfolded_blocks(arrays)[..., 0]
        with np.load(folder / "small.npz") as data:
            errors = np.einsum("tei,ti->te", data["test_X"], weights) - data["test_Y"]
        losses = [task["test_loss"] for task in one["tasks"].values()]
        np.testing.assert_allclose((errors**2).mean(axis=1), losses, rtol=1e-4)
        plain = load_file(folder / "run" / one["weights"])
        for task in range(NUM_TASKS):
            np.testing.assert_allclose(plain[f"small/{task}/weights/kernel"][:, 0], weights[task], rtol=1e-6, atol=1e-7)
        assert one["sizes"] == asdict(sizes(one["mapping"], 1, (8, 1)))
    assert found["result"]["example_steps"] == 30 * 6 * NUM_TASKS  # rounds, examples, tasks of one stream
    assert [line["epoch"] for line in found["curve"][::2]] == [6, 12, 18, 24, 30]  # 9 examples less 3 that validate
    assert not (folder / "run" / "in_training").exists()
    notes: list[str] = []
    again = config(folder, replicas=2)
    assert train(again, str(folder / "run"), lambda event: notes.append(getattr(event, "text", "")))
    assert "is complete; nothing is left to do" in notes[0]
    assert notes[1].startswith("seed 0: test RMSE ")


def test_a_replica_is_a_run_of_its_seed(whole: tuple[Path, dict[str, Any]]) -> None:
    folder, found = whole
    alone = run(config(folder, seed=1), folder / "alone")
    own = [line["record"] for line in found["decisions"] if line["seed"] == 1]
    assert [line["record"] for line in alone["decisions"]] == own
    one, other = alone["result"]["replicas"][0], found["result"]["replicas"][1]
    assert one["mapping"] == other["mapping"]
    for task, values in one["tasks"].items():
        assert values["test_loss"] == pytest.approx(other["tasks"][task]["test_loss"], rel=1e-3)


@pytest.mark.parametrize("place", ["inside a generation", "inside decide"])
def test_killed_it_goes_on_bit_for_bit(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder, found = whole
    calls = []

    def stopped(self: Any, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(self, *arguments)

    owner, name = (Muir, "decide") if place == "inside decide" else (Training, "_check_losses")
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, stopped)
    with pytest.raises(KeyboardInterrupt):
        run(config(folder, replicas=2, checkpoint_minutes=0), tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run" / "in_training").exists()
    assert run(config(folder, replicas=2), tmp_path / "run") == found


@pytest.mark.parametrize("sharing", ["random", "given", "separate"])
def test_other_ways_of_sharing(whole: tuple[Path, dict[str, Any]], tmp_path: Path, sharing: str) -> None:
    folder, _ = whole
    changes = {"context": 0} if sharing == "separate" else {}
    found = run(config(folder, sharing=sharing, **changes), tmp_path / sharing)
    mapping = found["result"]["replicas"][0]["mapping"]
    assert (len(set(mapping)) == {"given": 2, "separate": NUM_TASKS}.get(sharing, len(set(mapping))))  # fmt: skip
    assert ("decisions" in found) == (sharing == "random")


def test_the_last_version_counts_where_none_is_kept(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = whole
    found = run(config(folder, keep="last", final_generations=0), tmp_path / "run")["result"]["replicas"][0]
    assert found["best_round"] == 24
    assert all(task["test_loss"] == task["best_test_loss"] for task in found["tasks"].values())


def test_batches_smaller_than_the_set_are_drawn(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = whole
    prepared = job.prepare(config(folder, batch_size=3))
    assert [stream.name for stream in prepared.streams] == [f"small/{task}" for task in range(NUM_TASKS)]
    assert not any(stream.is_ordered for stream in prepared.streams)
    run(config(folder, batch_size=3), tmp_path / "run")


def test_tasks_of_two_files_are_measured_by_their_own_sizes(tmp_path: Path) -> None:
    first = config(tmp_path, groups=()).experiment.tasks[:2]
    with np.load(tmp_path / "small.npz") as data:
        arrays = dict(data)
    # Both are padded to two pieces of 250, and as many examples train.
    for name, count in (("large", 260), ("larger", 300)):
        x = np.random.default_rng(count).uniform(-1, 1, (NUM_TASKS, count, 8))
        own = arrays | {"test_X": x, "test_Y": x.sum(axis=2) * np.r_[np.ones(260), 9 * np.ones(count - 260)]}
        np.savez(tmp_path / f"{name}.npz", **own)
    tasks = *first, *(f"muir:{tmp_path}/{name}.npz?task={at}" for name in ("large", "larger") for at in range(2))
    settings = config(tmp_path, tasks=tasks, groups=(), generations=1, final_generations=0)
    streams = [stream.name for stream in job.prepare(settings).streams]
    assert streams == [f"linear of 2, {name}/0 first" for name in ("small", "large", "larger")]
    found = run(settings, tmp_path / "run")["result"]["replicas"][0]
    weights = load_file(tmp_path / "run" / found["weights"])
    for name in ("small", "large", "larger"):
        with np.load(tmp_path / f"{name}.npz") as data:
            errors = data["test_X"][0] @ weights[f"{name}/0/weights/kernel"][:, 0] - data["test_Y"][0]
        assert found["tasks"][f"{name}/0"]["test_loss"] == pytest.approx((errors**2).mean(), rel=1e-4)


@pytest.mark.parametrize("name", ["challengers", "share"])
def test_a_search_of_nothing_is_said_once(tmp_path: Path, name: str) -> None:
    said: list[str] = []
    job.prepare(config(tmp_path, **{name: 0}), said.append)
    assert len([text for text in said if text.startswith(f"experiment.{name} = 0: nothing is searched")]) == 1


def _followed(decisions: list[dict[str, Any]]) -> list[int]:
    """The mapping after the changes of some decisions."""
    mapping = list(range(NUM_TASKS))
    for line in decisions:
        for at, old, new in line["record"]["changes"]:
            assert mapping[at] == old
            mapping[at] = new
    return mapping


def test_the_last_generation_is_recorded_where_none_follows(tmp_path: Path) -> None:
    found = run(config(tmp_path, final_generations=0, keep="last", seed=3), tmp_path / "run")
    assert [line["record"]["generation"] for line in found["decisions"]] == [1, 2, 3, 4]
    assert _followed(found["decisions"]) == found["result"]["replicas"][0]["mapping"]


def test_a_version_that_was_gone_back_to_is_told_by_its_round(tmp_path: Path) -> None:
    """At a high rate the last generation is not the best one."""
    found = run(config(tmp_path, learning_rate=3.0, score_learning_rate=1.0, seed=1), tmp_path / "run")
    (one,), decisions = found["result"]["replicas"], found["decisions"]
    assert one["best_round"] < 24
    assert [line["record"].get("best_round") for line in decisions] == [None, None, None, one["best_round"]]
    number = one["best_round"] // 6
    assert decisions[-1]["record"]["changes"] == decisions[number - 1]["record"]["changes"]
    assert _followed(decisions[:number]) == one["best_mapping"] == one["mapping"]


@pytest.mark.parametrize("sharing", ["given", "hierarchical", "separate"])
def test_challengers_where_nothing_is_searched_are_said_to_do_nothing(tmp_path: Path, sharing: str) -> None:
    changes: dict[str, Any] = {"sharing": sharing, "context": 0 if sharing == "separate" else 1}
    said: list[str] = []
    job.prepare(config(tmp_path, **changes), said.append)
    assert f'experiment.challengers = 2 does nothing: experiment.sharing = "{sharing}" searches nothing.' in said
    said.clear()
    job.prepare(config(tmp_path, challengers=0, **changes), said.append)
    assert not said


def test_settings_of_streamed_sets_are_said_to_do_nothing(tmp_path: Path) -> None:
    settings = config(tmp_path)
    said: list[str] = []
    job.prepare(settings, said.append)
    assert not said
    settings.runtime.resident_share, settings.runtime.decoding_threads = 0.0, 3
    job.prepare(settings, said.append)
    rest = "does nothing: MUiR keeps all training sets on the devices."
    assert said == [f"runtime.resident_share = 0 {rest}", f"runtime.decoding_threads = 3 {rest}"]


@pytest.mark.parametrize("sharing", ["given", "hierarchical"])
def test_sharing_inside_of_tasks_only_is_refused_of_fixed_rules(tmp_path: Path, sharing: str) -> None:
    with pytest.raises(ConfigError, match=f"between_tasks = false beside experiment.sharing = '{sharing}'"):
        config(tmp_path, sharing=sharing, between_tasks=False)


def _refused(settings: MuirConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        job.prepare(validate(settings))
    return str(caught.value)


def test_settings_that_do_not_fit_are_named_together(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.experiment.groups = (0, 1)
    settings.experiment.context = 0
    settings.experiment.initial = "framework"
    text = _refused(settings)
    assert "groups has 2 numbers for 6 tasks" in text
    assert "context = 0" in text
    assert 'initial = "framework"' in text
    settings = config(tmp_path, sharing="separate", context=0, initial="framework")
    settings.experiment.context = 2
    assert "context = 2" in (text := _refused(settings))
    assert "Use experiment.context = 0" in text
    text = _refused(config(tmp_path, block_rows=9, block_columns=2, modules=5))
    assert "block_rows = 9 is more than any generated layer has (8): use 8 or less" in text
    assert "block_columns = 2" in text
    assert "modules = 5: every one of the" in text
    with pytest.raises(ConfigError, match=r"share = 1\.5.*expected.*\n?.*new_module = 2"):
        config(tmp_path, share=1.5, new_module=2.0)
    with pytest.raises(ConfigError, match=r'"given" needs experiment\.groups'):
        config(tmp_path, sharing="given", groups=())


def test_data_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    settings = config(tmp_path)
    settings.experiment.tasks = (f"muir:{tmp_path}/smal.npz?task=0", f"muir:{tmp_path}/small.npz?task=6")
    settings.experiment.groups = ()
    with pytest.raises(DataError) as caught:
        job.prepare(settings)
    assert "small.npz" in str(caught.value)
    assert "task=6: expected 0 to 5" in str(caught.value)


def test_groups_that_no_module_could_have_are_refused(tmp_path: Path) -> None:
    """A negative one would train blocks of zeros, and publish those of another module."""
    with pytest.raises(ConfigError, match=r"experiment\.groups = \(-1, 0, 0, 1, 1, 1\): expected each 0 or more"):
        config(tmp_path, sharing="given", groups=(-1, 0, 0, 1, 1, 1))
    with pytest.raises(ConfigError, match=r"groups names group 6 of 6 tasks.* Use 0 to 5"):
        config(tmp_path, sharing="given", groups=(0, 0, 0, 1, 1, 6))
    assert config(tmp_path, sharing="given", groups=(0, 0, 0, 1, 1, 5)).experiment.groups[5] == 5


def test_what_an_older_version_saved_in_training_is_told_to_be_of_no_use(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state does not say when modules began."""
    folder, found = whole

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    settings = config(folder, replicas=2, checkpoint_minutes=0)
    monkeypatch.setattr(fresh, "first_born", lambda *_: ())
    monkeypatch.setattr(Muir, "decide", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(settings, str(tmp_path / "run"), lambda _: None)
    monkeypatch.undo()
    assert list((tmp_path / "run" / "in_training").iterdir())
    said: list[str] = []
    train(settings, str(tmp_path / "run"), lambda event: said.append(getattr(event, "text", "")))
    assert any("cannot be used, training starts from its beginning" in text for text in said)
    assert json.loads((tmp_path / "run" / "result.json").read_text())["replicas"] == found["result"]["replicas"]


@pytest.mark.parametrize("measured", ["refined", "merged"])
def test_tests_are_of_what_is_published_whatever_validation_measures(tmp_path: Path, measured: str) -> None:
    """The last generation ends with the training, so that its candidates are still mixed."""
    settings = config(tmp_path, measured=measured, final_generations=0, keep="last", context=2, learning_rate=0.03)
    result = run(settings, tmp_path / "run")["result"]
    (one,) = result["replicas"]
    weights = load_file(tmp_path / "run" / one["weights"])
    losses = {}
    with np.load(tmp_path / "small.npz") as data:
        for task in range(NUM_TASKS):
            errors = data["test_X"][task] @ weights[f"small/{task}/weights/kernel"][:, 0] - data["test_Y"][task]
            losses[f"small/{task}"] = (errors**2).mean()
    for kind in ("test_loss", "best_test_loss"):
        assert {name: task[kind] for name, task in one["tasks"].items()} == pytest.approx(losses, rel=1e-4)
    assert result["measured"] == measured
