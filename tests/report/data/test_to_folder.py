from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.cli import main
from munet.data.splits import SPLITS
from munet.data.tasks import load_task
from munet.errors import DataError, UserError
from munet.report.data.to_folder import safe_name, write_folder


@pytest.fixture
def npz(tmp_path: Path) -> str:
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.repeat(np.arange(3), 20), class_names=["b/c", ".a", "10"])
    return f"npz:{tmp_path / 'x.npz'}"


def _run(*arguments: str) -> int:
    return main(["data", *arguments])


def test_what_is_written_is_read_again(
    npz: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "new" / "out"
    assert _run(npz, f"--to_folder={target}") == 0
    assert f"60 images written: folder:{target}" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))  # no contact sheet where a folder is asked for
    before, after = load_task(npz, cache_dir="off"), load_task(f"folder:{target}", cache_dir="off")
    assert after.info.class_names == ("10", "%2Ea", "b%2Fc")
    labels = np.array([2, 1, 0])  # of the folder's classes, by those of the file
    with before.testing(), after.testing():
        for name in SPLITS:
            pairs = [
                sorted((one.tobytes(), int(label)) for one, label in zip(images, numbers, strict=True))
                for images, numbers in (
                    (before.split(name).images, labels[before.split(name).labels]),
                    (after.split(name).images, after.split(name).labels),
                )
            ]
            assert pairs[0] == pairs[1]


def test_several_tasks_go_into_a_folder_each(npz: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNET_CACHE_DIR", str(tmp_path / "cache"))
    assert _run(npz, "builtin:digits", f"--to_folder={tmp_path / 'out'}", "--check_leaks") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["digits", "x"]
    assert len(list(tmp_path.glob("out/digits/*/*/*.png"))) == 1797


def test_a_target_that_is_taken_is_refused(npz: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    assert _run(npz, f"--to_folder={tmp_path / 'full'}") == 2
    assert "is not empty" in capsys.readouterr().err
    assert _run(npz, f"--to_folder={tmp_path / 'full' / 'mine.txt'}") == 2
    assert "there is a file of this name" in capsys.readouterr().err
    assert _run(npz, f"--to_folder={tmp_path / 'full' / 'mine.txt' / 'deeper'}") == 2
    assert "cannot be written" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_a_share_out_of_range_is_refused(npz: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(npz, "--max_bad_images=2") == 2
    assert "--max_bad_images=2: expected a share in [0, 1]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a", "a"), ("ß é", "ß é"), ("a/b", "a%2Fb"), ("..", "%2E%2E"), (".", "%2E"), ("", "%"), ("50%", "50%25"),
        ("a.", "a%2E"), ("\n", "%"), ("a:b", "a%3Ab"),
    ],
)  # fmt: skip
def test_class_names_become_names_of_folders(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 6, 5), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.repeat([0, 1], 20), class_names=["a", "a "])
    with pytest.raises((DataError, UserError), match="two classes are called 'a'"):
        write_folder(load_task(f"npz:{tmp_path / 'x.npz'}"), tmp_path / "out", lambda _: None)
    assert not (tmp_path / "out").exists()
