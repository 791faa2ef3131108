"""`munet export`: folders that agree with the system, cards that hold whatever names there are, refusals."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import munet
from munet import roots
from munet.cli import main
from munet.config import Baseline
from munet.export.export import CARD, FORMATS, MANIFEST
from munet.export.names import folder_names
from munet.types import TaskInfo
from munet.vit.architecture import HEAD
from munet.vit.init import merge_lora
from tests.compression import compressed_run
from tests.report.stored_run import write_run

PLAIN: dict[str, Any] = {"insert_adapters": False}
KINDS: dict[str, dict[str, Any]] = {"adapters": {}, "plain": PLAIN, "lora": {"baseline": Baseline("lora")}}
HOSTILE = (
    'a"b\\c', "</script><b>x", "\u202eevil", "x" * 200, "a/b|c`d`", "line\nbreak", "* _x_ #", "\U0001f600 é", "\x85\x1b"
)  # fmt: skip
NAMES = ("glyphs/a", "glyphs-a", 'q"</script>', "\u202eTXT.exe", "y" * 200, "..", "Glyphs/A")


def workdir(tmp_path: Path, **changes: Any) -> Path:
    write_run(tmp_path / "run", **changes)
    return tmp_path / "run"


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(*arguments: object) -> int:
    return main(["export", *map(str, arguments)])


@pytest.mark.parametrize(
    ("kind", "format"),
    [(kind, format) for kind in KINDS for format in FORMATS if (kind, format) != ("adapters", "npz")],
)
def test_what_is_exported_agrees_with_the_system(
    kind: str, format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = workdir(tmp_path, **KINDS[kind])
    before = files_of(place)
    assert run(f"--workdir={place}", "--task=task1", f"--format={format}", f"--out={tmp_path / 'out'}") == 0
    assert capsys.readouterr().out == f"task1: {tmp_path / 'out'}\n"
    assert run(f"--workdir={place}", f"--check={tmp_path / 'out'}") == 0
    assert f"task1 ({format}): agrees; logits by" in (said := capsys.readouterr().out)
    assert "32 of 32 classes equal" in said
    assert files_of(place) == before  # nothing is written there


@pytest.mark.parametrize("format", ["safetensors", "npz"])
@pytest.mark.parametrize("kind", ["plain", "lora"])
def test_plain_models_are_roots_again_bit_for_bit(kind: str, format: str, tmp_path: Path) -> None:
    system = munet.open(str(workdir(tmp_path, **KINDS[kind])))
    folder = system.export("task0", tmp_path / "out", format)
    found = roots.find(folder if format == "safetensors" else folder / "model.npz")
    loaded, own = found.load(found.num_blocks), merge_lora(system.load("task0"))
    assert list(loaded) == [name for name in own if name != HEAD]
    for name, arrays in loaded.items():
        for path, array in arrays.items():
            np.testing.assert_array_equal(array, own[name][path])


@pytest.mark.parametrize("shape", [(), (24, 30, 1)])
def test_the_program_needs_no_munet(shape: tuple[int, ...], tmp_path: Path) -> None:
    tasks = tuple(
        TaskInfo(f"task{n}", f"folder:{n}?range=0,200", f"{n}", tuple("abcde"), 9, 9, 9, image_shape=shape)
        for n in (0, 1)
    )
    system = munet.open(str(workdir(tmp_path, tasks=tasks)))
    folder = system.export("task1", tmp_path / "out", "stablehlo")
    pictures = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    np.save(folder / "images.npy", pictures)
    Image.fromarray(pictures[0]).save(folder / "image.png")
    (example,) = re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
    assert "/ 200.0" in example
    assert "reducing_gap" in example
    script = f"""{example}
import sys
assert "munet" not in sys.modules
answers = model.call(numpy.load("images.npy"))  # another number of images than before
numpy.save("answers.npy", numpy.asarray(answers["probabilities"]))
"""
    ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    expected = system.predict("task1", pictures)
    if not shape:  # else they have not been brought to it yet
        np.testing.assert_allclose(np.load(folder / "answers.npy"), expected.probabilities, atol=1e-5)
    name, share = ran.stdout.split()
    assert name == expected.names[0]
    assert float(share) == pytest.approx(expected.confidences[0], abs=1e-5)


def npz_example(tmp_path: Path, size: int) -> tuple[munet.System, Path, np.ndarray, str]:
    """A system, its export as npz, a picture that lies there, and what the card says to run on it."""
    system = munet.open(str(workdir(tmp_path, **PLAIN)))
    folder = system.export("task1", tmp_path / "out", "npz")
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "image.png")
    (example,) = re.findall(r"```python\n(.*?)```", (folder / CARD).read_text(), re.DOTALL)
    return system, folder, picture, example


def test_the_example_of_the_npz(tmp_path: Path) -> None:
    system, folder, picture, example = npz_example(tmp_path, 32)
    root = str(Path(munet.__file__).parents[1])
    script = f"import sys; sys.path.insert(0, {root!r})\n{example}"
    ran = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == system.predict("task1", [picture]).names[0]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a few lines need not close their files
def test_the_example_of_the_npz_shrinks_as_munet_does(tmp_path: Path) -> None:
    system, folder, picture, example = npz_example(tmp_path, 64)
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        exec(example, names)  # what the card says to run
    np.testing.assert_allclose(names["logits"], system.predictor("task1").logits([picture]), atol=1e-4)


def test_another_image_size_and_smoothing(tmp_path: Path) -> None:
    from munet.config import SearchSpace
    from munet.config.evolve import Defaults

    size = 48
    space = SearchSpace(image_size=(size,))
    place = workdir(tmp_path, defaults=Defaults(image_size=size), search_space=space, antialias=True)
    assert run(f"--workdir={place}", "--task=task0", f"--output={tmp_path / 'out'}") == 0
    assert run(f"--workdir={place}", f"--check={tmp_path / 'out'}") == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_args"]["img_size"], config["pretrained_cfg"]["input_size"]) == (size, [3, size, size])
    assert "antialias=True" in (tmp_path / "out" / CARD).read_text()


def test_a_model_stored_in_low_rank_is_exported_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = compressed_run.write_smooth_run(tmp_path / "run")
    compressed_run.write(whole, compressed_run.compressed(whole), place := tmp_path / "smaller")
    system = munet.open(str(place))
    assert any(record.base for record in system.components.values())
    assert run(f"--workdir={place}", "--all_tasks", f"--output={tmp_path / 'out'}") == 0
    assert run(f"--workdir={place}", f"--check={tmp_path / 'out'}") == 0
    card = (tmp_path / "out" / "task0" / CARD).read_text()
    assert "| 1 | 1 | 1 | 20 | 5.00% (0.9-23.6) |" in card  # class by class, as the journal counted


def test_every_task_gets_a_folder_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks = tuple(
        TaskInfo(name, f"memory:{index}", f"print{index}", HOSTILE[:4], 800, 100, 100)
        for index, name in enumerate(NAMES)
    )
    place = workdir(tmp_path, tasks=tasks, num_generations=1, children_per_generation=1, num_task_iterations=1)
    assert run(f"--workdir={place}", "--all_tasks", f"--output={tmp_path / 'out'}") == 0
    folders = sorted((tmp_path / "out").iterdir())
    assert {json.loads((folder / MANIFEST).read_text())["task"] for folder in folders} == set(NAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,80}", folder.name) for folder in folders)
    assert run(f"--workdir={place}", f"--check={tmp_path / 'out'}") == 0
    assert capsys.readouterr().out.count("agrees") == len(NAMES)
    assert run(f"--workdir={place}", f"--check={tmp_path / 'out'}", "--task=glyphs/a") == 0
    assert capsys.readouterr().out.count("agrees") == 1


def test_folder_names_are_safe_and_unique() -> None:
    names = folder_names([*NAMES, "", "/", "CON", "a b", "-rf"])
    assert len({name.casefold() for name in names.values()}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", name) for name in names.values())
    assert folder_names(["glyphs/cyrillic", "digits"]) == {"glyphs/cyrillic": "glyphs-cyrillic", "digits": "digits"}
    assert folder_names(NAMES)["glyphs/a"] == folder_names(reversed(NAMES))["glyphs/a"]


@pytest.mark.parametrize("name", NAMES[2:6])
def test_the_card_holds_any_names(name: str, tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="a reader of YAML that is not ours")
    tasks = (TaskInfo(name, "folder:/somewhere/private", "print", HOSTILE, 800, 100, 100),)
    system = munet.open(str(workdir(tmp_path, tasks=tasks)))
    text = (system.export(name, tmp_path / "out") / CARD).read_text(encoding="utf-8")
    _, header, body = text.split("---\n", 2)
    found = yaml.safe_load(header)
    assert found["license"] == "apache-2.0"
    assert found["datasets"] == [name]
    (entry,) = found["model-index"]
    assert entry["name"] == name
    (result,) = entry["results"]
    assert result["dataset"] == {"name": name, "type": "folder:private", "split": "test"}
    (metric,) = result["metrics"]
    assert (metric["type"], metric["value"]) == ("accuracy", system.models[name].test_quality.accuracy)  # type: ignore[union-attr]
    assert "95% interval" in metric["name"]
    assert "/home" not in text  # a path says nothing to others, and more than it should
    assert "<" not in re.sub(r"```.*?```", "", body, flags=re.DOTALL)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (6, 8) for row in rows), rows
    classes = body.split("\n## Classes\n")[1].split("\n## ")[0]
    assert sum(line.startswith("| ") for line in classes.splitlines()) == 2 + len(HOSTILE)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert tuple(config["label_names"]) == HOSTILE


def test_the_card_says_where_everything_comes_from(tmp_path: Path) -> None:
    system = munet.open(str(workdir(tmp_path)))
    text = (system.export("task1", tmp_path / "out") / CARD).read_text()
    model, quality = system.models["task1"], system.models["task1"].test_quality
    assert quality is not None
    for layer, id in model.components.items():
        owner = system.trained_last(id) or "the root"
        assert re.search(rf"^\| {layer} \| {owner} \| .*`{id}`", text, re.MULTILINE), layer
    assert f"{quality.correct} of {quality.counted} images right" in text
    assert "**7.00% (3.4-13.7)**" in text  # 7 of 100, by Wilson
    assert system.task("task1").fingerprint in text
    assert "800 | 100 | 100" in text
    assert "`modeling_munet.py`" in text.split("\n## ")[0]  # first of all


def test_of_a_root_from_elsewhere_the_licence_is_not_known(tmp_path: Path) -> None:
    system = munet.open(str(workdir(tmp_path, root="/somewhere/vit.npz")))
    text = (system.export("task0", tmp_path / "out") / CARD).read_text()
    assert "\nlicense: unknown\n" in text
    assert "/somewhere" not in text


def test_a_task_of_1623_classes(tmp_path: Path) -> None:
    place = workdir(tmp_path, num_classes=(1623,), num_generations=1, children_per_generation=1)
    folder = munet.open(str(place)).export("task0", tmp_path / "out")
    assert len(json.loads((folder / "config.json").read_text())["label_names"]) == 1623
    assert "| 1622 | 1622 |" in (folder / CARD).read_text()


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    system = munet.open(str(workdir(tmp_path)))
    for format in ("safetensors", "stablehlo"):
        first, second = (files_of(system.export("task0", tmp_path / f"{format}{n}", format)) for n in (1, 2))
        assert first == second


REFUSED = [
    (["--task=tsk1", "--output=OUT"], "Did you mean 'task1'"),
    (["--task=task1", "--output=OUT", "--format=safetensor"], "Did you mean 'safetensors'"),
    (["--task=task1", "--output=OUT", "--format=onnx"], "docs/howto/export.md"),
    (["--task=task1"], "--output is missing"),
    (["--output=OUT"], "--task=NAME, or --all_tasks"),
    (["--output=OUT", "--task=task1", "--all_tasks"], "--task=NAME, or --all_tasks"),
    (["--output=OUT", "--check=OUT"], "leave --output and --all_tasks out"),
    (["--check=OUT"], "there is no exported model"),
    (["--task=task1", "--output=FULL"], "is not empty"),
    (["--task=task1", "--output=FULL/file"], "is there already and is not empty"),
    (["--task=task1", "--output=FULL/file/inner"], "cannot be"),
    (["--task=task1", "--output=RUN/export"], "lies inside --workdir"),
    (["--task=task1", "--output=gs://bucket/x"], "give a local directory"),
    (["--task=task1", "--output=OUT", "--format=npz"], "--format=safetensors, --format=stablehlo"),
    (["--all_tasks", "--output=OUT", "--format=npz"], "--format=safetensors, --format=stablehlo"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(given) for given, _ in REFUSED])
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = workdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    before = files_of(tmp_path)
    places = {"OUT": tmp_path / "out", "FULL": tmp_path / "full", "RUN": place}
    given = [re.sub("OUT|FULL|RUN", lambda match: str(places[match[0]]), argument) for argument in arguments]
    assert run(f"--workdir={place}", *given) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert files_of(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_no_work_directory_and_no_model_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from munet.types import Position

    assert run(f"--workdir={tmp_path / 'none'}", "--task=a", f"--output={tmp_path / 'out'}") == 2
    assert "There is no run in" in capsys.readouterr().err
    place = workdir(tmp_path, until=Position(0, 0, 1))
    for arguments, message in ((["--task=task0"], "has no model yet"), (["--all_tasks"], "has a model yet")):
        assert run(f"--workdir={place}", *arguments, f"--output={tmp_path / 'out'}") == 2
        assert message in capsys.readouterr().err


def test_a_missing_package_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "flatbuffers" else find(name))
    place = workdir(tmp_path)
    assert run(f"--workdir={place}", "--task=task0", "--format=stablehlo", f"--output={tmp_path / 'out'}") == 2
    assert "pip install -e '.[export]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def damage(place: Path, task: str, layer: str) -> tuple[str, list[str]]:
    """Removes a layer of a task's model; returns its id and the tasks that use it."""
    system = munet.open(str(place))
    id = system.models[task].components[layer]
    (place / "components" / f"{id}.safetensors").unlink()
    return id, [name for name, model in system.models.items() if id in model.components.values()]


def test_a_missing_component_is_named_and_other_tasks_are_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = workdir(tmp_path)
    id, users = damage(place, "task1", "head")
    assert users == ["task1"]
    assert run(f"--workdir={place}", "--task=task1", f"--output={tmp_path / 'one'}") == 2
    said = capsys.readouterr().err
    assert id in said
    assert "is missing" in said
    assert "needed by: task1." in said
    assert not (tmp_path / "one").exists()
    assert run(f"--workdir={place}", "--all_tasks", f"--output={tmp_path / 'all'}") == 2
    out, err = capsys.readouterr()
    assert out == f"task0: {tmp_path / 'all' / 'task0'}\n"
    assert "1 of 2 models could not be exported:\n  - task1: Component" in err
    assert [path.name for path in (tmp_path / "all").iterdir()] == ["task0"]
    assert run(f"--workdir={place}", f"--check={tmp_path / 'all'}") == 0


def test_all_that_need_a_missing_component_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = workdir(tmp_path, num_classes=(3, 5, 7), mutation_probability=0.0, **PLAIN)
    _, users = damage(place, "task0", "embedding")
    assert len(users) > 1
    assert run(f"--workdir={place}", f"--task={users[0]}", f"--output={tmp_path / 'out'}") == 2
    assert f"needed by: {', '.join(users)}." in capsys.readouterr().err
