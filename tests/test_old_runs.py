"""Work directories of munet 0.3.0 are read and gone on with as that version did (tests/fixtures/README.md)."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from munet.cli.main import main
from munet.store import Store
from munet.training.placement.devices import DeviceLayout
from munet.types import StartEntry

ARCHIVE = Path(__file__).parent / "fixtures" / "runs_0.3.0.tar.xz"
RUNS = ("finished", "interrupted")
SETTINGS = {
    "tasks": "builtin:digits,builtin:glyphs/armenian", "num_blocks": 1, "num_task_iterations": 1, "num_generations": 3,
    "children_per_generation": 2, "cycles_per_child": 2, "batch_size": 64, "max_batches_per_cycle": 6,
    "min_batches_per_cycle": 1, "mutation_probability": 0.4, "checkpoint_minutes": 0, "block_megabytes": 4,
    "compare": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(autouse=True)
def there(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of runs as they were given when the fixtures were made."""
    monkeypatch.chdir(old)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("run", RUNS)
def test_status_says_the_same(run: str, old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = old / "expected" / run
    text = said(capsys, "status", f"--workdir={run}", "--wide")
    then = (expected / "status.txt").read_text()
    assert numbers(then) <= numbers(text)
    then = (expected / "digits.txt").read_text()
    assert numbers(then) <= numbers(said(capsys, "status", f"--workdir={run}", "--task=digits"))
    values = json.loads(said(capsys, "status", f"--workdir={run}", "--json"))
    assert values.pop("workdir") == str(old / run)
    before = json.loads((expected / "status.json").read_text())
    assert kept(values, before) == {name: value for name, value in before.items() if name != "workdir"}


def kept(values: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Those of the values whose keys there were: keys are only ever added."""
    return {
        name: kept(value, before[name]) if isinstance(value, dict) else value
        for name, value in values.items()
        if name in before
    }


def numbers(text: str) -> set[str]:
    """Every number of a text, as it is written; scores have become percent since."""
    return {
        f"{100 * float(word):.2f}" if re.fullmatch(r"0\.\d{4}", word) else word
        for word in re.findall(r"\d[\d.,]*\d|\d", text)
    }


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("format", ["svg", "json", "dot"])
def test_the_graph_is_the_same(run: str, format: str, old: Path, tmp_path: Path) -> None:
    """Byte for byte for programs; pictures show test accuracy in heads by now, and all else as they did."""
    file = tmp_path / f"graph.{format}"
    assert main(["graph", f"--workdir={run}", f"--output={file}"]) == 0
    now, then = file.read_text(), (old / "expected" / run / f"graph.{format}").read_text()
    if format == "svg":
        drawn = r'data-(?:id|task|kind)="[^"]*"|<title>[^<]*</title>'  # boxes and paths, and what is said of them
        assert re.findall(drawn, now) == re.findall(drawn, then)
    elif format == "dot":
        heads = r'("head:[^"]*" \[label=)"[^"]*"'
        assert re.sub(heads, r"\1", now) == re.sub(heads, r"\1", then)
    else:
        assert now == then


@pytest.mark.parametrize("run", RUNS)
def test_it_has_a_report_and_a_page(run: str, tmp_path: Path) -> None:
    assert main(["report", f"--workdir={run}", f"--output={tmp_path}/a.html"]) == 0
    assert main(["graph", f"--workdir={run}", f"--output={tmp_path}/b.html"]) == 0
    assert "digits" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize("run", RUNS)
def test_every_test_accuracy_measured_again_is_the_same(
    run: str, old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every byte of every file, too."""
    before = (old / "expected" / run / "verify.txt").read_text().strip().removesuffix(".").splitlines()
    found = said(capsys, "verify", f"--workdir={run}", "--tests")
    assert all(line in found for line in before)  # of what it counts by now, snapshots stand behind


def test_an_interrupted_run_goes_on_and_ends_as_the_finished_one(old: Path, tmp_path: Path) -> None:
    """Inside of the generation that was in training: the last of its cycles, on the state that was saved.

    Bit for bit on the layout that it was begun on; elsewhere, as ever, with a note, and what was committed stays.
    """
    before = {entry.name: entry.read_bytes() for entry in (old / "interrupted" / "journal").iterdir()}
    environment = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS",)}
    environment |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])}
    environment.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)
    options = [f"--config.{name}={value}" for name, value in (SETTINGS | {"cache_dir": str(tmp_path)}).items()]
    command = [sys.executable, "-m", "munet", "evolve", "--config=demo:paper", "--workdir=interrupted", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trained from its beginning" not in done.stdout + done.stderr
    after = {entry.name: entry.read_bytes() for entry in (old / "interrupted" / "journal").iterdir()}
    assert len(after) == len(list((old / "finished" / "journal").iterdir()))
    assert {name: after[name] for name in before} == before
    if "with another layout" in done.stdout:
        pytest.skip(reason="these devices or this software are not those that the old run was begun with")
    places = [old / run / "components" for run in ("interrupted", "finished")]
    names = [sorted(file.name for file in place.iterdir()) for place in places]
    if names[0] != names[1] and not _is_same_processor():
        pytest.skip(reason="this processor is not the one that the old run was begun with")
    assert names[0] == names[1]


def _is_same_processor() -> bool:
    """The journal does not say which processor it was; XLA makes other code for other ones."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and "Intel(R) Xeon(R) Processor\n" in info.read_text() and "avx512f" in info.read_text()


def test_the_old_journals_begin_with_what_this_version_writes() -> None:
    """Layout and settings by the same names, or a resumed run would be told of changes that are none."""
    first = next(Store.open("finished").journal.entries())
    assert isinstance(first, StartEntry)
    from munet.config import Runtime

    here = DeviceLayout.detect(Runtime(num_devices=1)).describe()
    assert first.layout.keys() == here.keys() - {"jax"}  # which is compared only where both have it
