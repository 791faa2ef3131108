"""Whatever names a root comes to one checkpoint; and every wrong name to one helpful message."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from munet import roots
from munet.config import Config, Experiment
from munet.config.files import CONFIG_FILES, load_any_config
from munet.errors import CheckpointError
from munet.roots import cached_files, names
from munet.run import start
from munet.vit.architecture import VARIANTS
from munet.vit.augreg import demo_root_path
from tests import tiny_run

TI = "Ti_16-i21k-300ep-lr_0.001-aug_light1-wd_0.1-do_0.0-sd_0.0"
S16 = "S_16-i21k-300ep-lr_0.001-aug_light1-wd_0.03-do_0.0-sd_0.0"


def test_the_demo_and_its_file_are_the_same_root(tmp_path: Path) -> None:
    copy = shutil.copy(demo_root_path(), tmp_path / "elsewhere.npz")
    demo, other = roots.find("demo"), roots.find(copy)
    assert demo.sha256 == other.sha256
    assert (demo.name, other.name) == ("demo16_3blocks_32px.npz", "elsewhere.npz")
    assert demo.facts.num_params == 199_680
    loaded = demo.load(2, 48)
    assert "encoderblock_2" not in loaded
    assert loaded["posembed_input"]["pos_embedding"].shape == (1, 10, 64)


def test_a_head_is_seen_and_left_out(shared_root: Path) -> None:
    facts = roots.find(shared_root).facts
    assert (facts.variant.name, facts.num_blocks, facts.image_size, facts.num_classes) == ("Ti/16", 3, 32, 100)
    assert facts.num_params == 1_503_076 - 193 * 100


def test_a_name_of_the_release_is_a_file_in_the_cache(tmp_path: Path) -> None:
    place = cached_files.place(names.url(TI), str(tmp_path))
    place.parent.mkdir(parents=True)
    shutil.copy(demo_root_path(), place)  # offline: put there by hand
    for reference in (f"augreg:{TI}", f"augreg:{TI}.npz", "augreg:Ti_16-i21k-300ep-lr_0.001-aug_l"):
        found = roots.find(reference, str(tmp_path))
        assert (found.place, found.name) == (str(place), f"{TI}.npz")


def test_names_known_are_well_formed_and_of_variants_that_we_have() -> None:
    for name, known in names.KNOWN.items():
        assert names._NAME.fullmatch(name), name
        assert known.variant in VARIANTS, name
        assert names.full_name(name) == name
    configs = [config for name in CONFIG_FILES.shipped() if isinstance(config := load_any_config(name), Config)]
    configured = {config.experiment.root for config in configs}
    released = {root.removeprefix(names.SCHEME) for root in configured if root.startswith(names.SCHEME)}
    assert released
    assert released <= names.KNOWN.keys()


def test_beginnings_of_names() -> None:
    assert names.full_name("Ti_16-i21k-300ep-lr_0.001-aug_light") == TI
    assert names.full_name("S_16") == S16  # the only one that was not fine-tuned
    unlisted = TI.replace("light1", "strong2")
    assert names.full_name(unlisted) == unlisted
    with pytest.raises(CheckpointError, match="is the beginning of 4 names") as caught:
        names.full_name("Ti_16")
    assert TI in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("", "No root is named: give a path, demo, https"),
        ("augreg:", "a name is missing, e.g. augreg:Ti_16"),
        (f"augreg:{TI.replace('light1', 'lihgt1')}", f"Did you mean '{TI}'"),
        ("augreg:foo", "is no name of the release. `munet roots` lists"),
        ("augreg:Ti_17", "augreg:Ti_17 is no name of the release. Did you mean 'Ti_16'?"),
        (f"augreg:R_{TI}", "is a R_Ti/16, which munet has not. Supported: demo/16, Ti/16"),
        (f"augreg:B_8{TI[5:]}", "is a B/8, which munet has not"),
        ("htps://x/y.npz", "there is no kind of root 'htps'. Did you mean 'https'"),
        ("hf:google/vit", "there is no kind of root 'hf'"),
        ("model.pth", "model.pth is a pickle, which can run any program"),
        ("model.h5", "model.h5 is a Keras file. Expected .npz or .safetensors"),
        ("model.foo", "of no format that munet reads (.foo)"),
        ("model", "There is no root 'model': no file or folder is called so. A root is a path, demo, https"),
        ("dmo", "There is no root 'dmo': Did you mean 'demo'?"),
        ("S_16", "There is no root 'S_16': Did you mean 'augreg:S_16'?"),
        ("nothing.npz", "There is no checkpoint nothing.npz. Its folder holds no .npz or .safetensors file."),
        ("nothing.safetensors", "There is no checkpoint nothing.safetensors"),
        ("munet:", "a run's directory is missing"),
    ],
)
def test_wrong_names(reference: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        roots.find(reference, str(tmp_path))
    assert expected in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_only_what_may_be_a_root_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("demo.log", "demoo.txt", "roots"):
        (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"There is no root 'demoo': Did you mean 'demo'\? A root is"):
        roots.find("demoo", str(tmp_path))
    (tmp_path / "mine.npz").touch()
    with pytest.raises(CheckpointError, match=r"Did you mean 'mine\.npz'"):
        roots.find("mine", str(tmp_path))


def test_folders_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model\.safetensors"):
        roots.find(tmp_path)
    (tmp_path / "a.npz").touch()
    with pytest.raises(CheckpointError, match=r"It has a\.npz: give the file itself"):
        roots.find(tmp_path)
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        roots.find(tmp_path)
    (tmp_path / "model.safetensors.index.json").touch()
    with pytest.raises(CheckpointError, match="in several files: save it as one"):
        roots.find(tmp_path)


def test_a_root_of_another_architecture_says_what_to_set(tmp_path: Path) -> None:
    tiny_run.write_root(tmp_path / "root.npz")
    with pytest.raises(CheckpointError, match=r"Set --config\.variant=demo/16 --config\.num_blocks=1\."):
        start.RootComponents(Experiment(root=str(tmp_path / "root.npz"), variant="Ti/16", num_blocks=12))
    with pytest.raises(CheckpointError, match="is a demo/16 with 1 blocks"):
        start.RootComponents(Experiment(root=str(tmp_path / "root.npz"), num_blocks=2))


def test_a_truncated_download_by_hand_is_refused_with_its_place(tmp_path: Path) -> None:
    place = cached_files.place(names.url(TI), str(tmp_path))
    place.parent.mkdir(parents=True)
    place.write_bytes(demo_root_path().read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match=r"not a whole \.npz file") as caught:
        roots.find(f"augreg:{TI}", str(tmp_path))
    assert str(place) in str(caught.value)


def test_values_that_are_not_finite_are_found_when_loading(tmp_path: Path) -> None:
    path = tmp_path / "root.npz"
    tiny_run.write_root(path)
    with np.load(path) as arrays:
        changed = dict(arrays) | {"cls": np.full((1, 1, 64), np.inf, np.float32)}
    np.savez(path, **changed)
    with pytest.raises(CheckpointError, match="cls: holds NaN or infinite values"):
        roots.find(path).load(1)
