"""Measured windows of DNA in a MUiR training: of any length that DeepBind reads, and of sets that devices can hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from munet.config import MuirConfig
from munet.config.checks import validate
from munet.config.files import load_any_config
from munet.errors import ConfigError, UserError
from munet.methods.muir import job
from tests.data.dna_files import write, write_windows
from tests.methods.muir.small import config
from tests.methods.muir.test_job import run


def of_dna(folder: Path, *uris: str, **changes: Any) -> MuirConfig:
    """Tasks of small DeepBinds."""
    blocks = {"block_rows": 8, "block_columns": 8, "context": 2, "challengers": 1}
    settings = {"tasks": uris, "nets": ("deep_bind_8",) * len(uris), "groups": (), **blocks}
    return config(folder, **{**settings, **changes})


def test_windows_of_both_forms_and_of_any_length_have_networks(tmp_path: Path) -> None:
    uris = (write(tmp_path / "a.npz") + "?length=25", write_windows(tmp_path / "b.npz"))
    prepared = job.prepare(of_dna(tmp_path, *uris))
    assert [net.inputs for net in prepared.learner.nets] == [(25,), (31,)]  # type: ignore[attr-defined]  # a Muir


def test_the_published_config_trains_on_a_file(tmp_path: Path) -> None:
    """All but its sizes and its length."""
    uri = write(tmp_path / "crispr.npz") + "?length=25"
    settings = published("published,dna", tmp_path)
    settings.experiment.tasks, settings.experiment.nets = (uri,), ("deep_bind_16",)
    settings.experiment.generation_rounds, settings.experiment.generations = 1, 1
    found = run(validate(settings), tmp_path / "run")
    (one,) = found["result"]["replicas"]
    assert one["tasks"]["crispr"]["metric"] == "MSE"
    assert np.isfinite(one["tasks"]["crispr"]["test_loss"])
    assert found["curve"][-1]["step"] == 3  # two generations of a round without a search


def test_all_data_of_the_published_config_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "crisper.npz").touch()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError) as caught:
        job.prepare(published("published,images,dna", tmp_path))
    said = str(caught.value)
    assert "2 of 2 tasks cannot be used" in said
    assert "tfds:cifar10 is not prepared in" in said
    assert "tfds build cifar10 --file_format=array_record" in said
    assert "there is no file ../crispr.npz. Did you mean 'crisper.npz'? Expected numpy.savez(path, sequence=" in said


def published(variant: str, folder: Path) -> MuirConfig:
    """A config of the published study, in which nothing is there."""
    settings = load_any_config(f"muir:{variant}")
    assert isinstance(settings, MuirConfig)
    settings.runtime.data_dir, settings.runtime.cache_dir = str(folder / "tfds"), str(folder / "cache")
    return settings


def test_windows_shorter_than_filters_are_refused_in_words(tmp_path: Path) -> None:
    uri = write(tmp_path / "a.npz")
    for nets in ((), ("deep_bind_8",)):
        with pytest.raises(
            ConfigError, match=r"for a\. Its windows have 23 letters, and DeepBind.* reads 24 at a time"
        ):
            job.prepare(of_dna(tmp_path, f"{uri}?length=23", nets=nets))


def test_sets_that_no_device_holds_are_refused(tmp_path: Path) -> None:
    uri = write(tmp_path / "a.npz")
    settings = of_dna(tmp_path, uri)
    needed = 100 * (201 + 4)  # of all splits: letters, and a float32 each
    runtime = settings.runtime
    assert job.prepare(replace(settings, runtime=replace(runtime, device_memory_gb=needed / 1e9)))
    with pytest.raises(ConfigError, match=r"examples of all tasks take 20 KiB of every device \(a alone 20 KiB\)"):
        job.prepare(replace(settings, runtime=replace(runtime, device_memory_gb=(needed - 1) / 1e9)))
