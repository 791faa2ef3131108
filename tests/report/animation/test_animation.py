from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from munet.cli import main
from munet.report.animation import command
from munet.store import Store
from tests.report import fixed_journal

ROOT = Path(__file__).parents[3]


def test_a_gif_has_a_frame_for_each_entry(tmp_path: Path) -> None:
    fixed_journal.write(tmp_path / "run")
    assert main(["animate", f"--workdir={tmp_path}/run", f"--output={tmp_path}/a.gif", "--seconds=0.5"]) == 0
    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == len(Store.open(tmp_path / "run").journal)  # type: ignore[attr-defined]
        assert film.info["loop"] == 0
        assert film.info["duration"] == 500
        first = film.convert("RGB")
        film.seek(film.n_frames - 1)  # type: ignore[attr-defined]
        assert film.info["duration"] == 2000
        assert film.convert("RGB").tobytes() != first.tobytes()
        assert first.getpixel((0, 0)) == (255, 255, 255)


def test_an_mp4_is_written(tmp_path: Path) -> None:
    """In a process of its own: ffmpeg is forked, which JAX, once other tests have loaded it, warns of."""
    pytest.importorskip("imageio_ffmpeg", reason="an extra")
    fixed_journal.write(tmp_path / "run")
    film = tmp_path / "a.mp4"
    command = ["-m", "munet", "animate", f"--workdir={tmp_path / 'run'}", f"--output={film}", "--seconds=0.5"]
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT, timeout=240)
    count = f"import imageio_ffmpeg; print(imageio_ffmpeg.count_frames_and_secs({str(film)!r}))"
    found = subprocess.run([sys.executable, "-c", count], check=True, capture_output=True, text=True, timeout=240)
    assert found.stdout.startswith("(7, 3.5")


def test_of_long_journals_frames_are_left_out_evenly() -> None:
    assert command.chosen(3) == [0, 1, 2]
    found = command.chosen(1001, 11)
    assert found == list(range(0, 1001, 100))
    assert len(set(command.chosen(10_000))) == command.MOST_FRAMES


def test_mistakes_are_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed_journal.write(tmp_path / "run")
    run = f"--workdir={tmp_path}/run"
    for option, words in (
        ("--output=a.webm", ".gif or .mp4"),
        (f"--output={tmp_path}/no/a.gif", "cannot be written"),
        ("--seconds=0", "0.02 to 60"),
    ):
        assert main(["animate", run, option]) == 2
        assert words in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert main(["animate", run, f"--output={tmp_path}/a.mp4"]) == 2
    assert "'.[video]'" in capsys.readouterr().err
