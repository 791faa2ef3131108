from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from munet.cli import main
from munet.report.animation import command, film
from munet.store import Store
from tests.report import fixed_journal

ROOT = Path(__file__).parents[3]


def test_a_gif_has_a_frame_for_each_entry(tmp_path: Path) -> None:
    fixed_journal.write(tmp_path / "run")
    assert main(["animate", f"--workdir={tmp_path}/run", f"--output={tmp_path}/a.gif", "--seconds=0.5"]) == 0
    with Image.open(tmp_path / "a.gif") as found:
        assert found.n_frames == len(Store.open(tmp_path / "run").journal)  # type: ignore[attr-defined]
        assert found.info["loop"] == 0
        assert found.info["duration"] == 500
        first = found.convert("RGB")
        found.seek(found.n_frames - 1)  # type: ignore[attr-defined]
        assert found.info["duration"] == 2000
        assert found.convert("RGB").tobytes() != first.tobytes()
        assert first.getpixel((0, 0)) == (255, 255, 255)


def test_an_mp4_is_written(tmp_path: Path) -> None:
    """In a process of its own: ffmpeg is forked, which JAX, once other tests have loaded it, warns of."""
    pytest.importorskip("imageio_ffmpeg", reason="an extra")
    fixed_journal.write(tmp_path / "run")
    written = tmp_path / "a.mp4"
    command = ["-m", "munet", "animate", f"--workdir={tmp_path / 'run'}", f"--output={written}", "--seconds=0.5"]
    subprocess.run([sys.executable, *command], check=True, cwd=ROOT, timeout=240)
    count = f"import imageio_ffmpeg; print(imageio_ffmpeg.count_frames_and_secs({str(written)!r}))"
    found = subprocess.run([sys.executable, "-c", count], check=True, capture_output=True, text=True, timeout=240)
    assert found.stdout.startswith("(7, 3.5")


@pytest.mark.parametrize("output", ["a.gif", "a.mp4"])
def test_a_film_that_fails_leaves_the_one_before_it(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(pictures: Iterable[Image.Image], path: Path, seconds: float) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fixed_journal.write(tmp_path / "run")
    (tmp_path / output).write_bytes(b"the film before")
    monkeypatch.setattr(film, "check_mp4", lambda: None)
    monkeypatch.setattr(film, "write_gif", fails)
    monkeypatch.setattr(film, "write_mp4", fails)
    assert main(["animate", f"--workdir={tmp_path}/run", f"--output={tmp_path / output}"]) == 2
    assert "Free some space" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"run", output}
    assert (tmp_path / output).read_bytes() == b"the film before"


def test_an_mp4_without_its_index_is_not_whole(tmp_path: Path) -> None:
    def box(kind: bytes, size: int) -> bytes:
        return (8 + size).to_bytes(4, "big") + kind + bytes(size)

    large = (1).to_bytes(4, "big") + b"mdat" + (20).to_bytes(8, "big") + bytes(4)
    begin = box(b"ftyp", 8)
    for content, is_whole in (
        (begin + box(b"mdat", 5) + box(b"moov", 9), True),
        (begin + large + box(b"moov", 9), True),
        (begin + box(b"mdat", 5), False),
        (begin + box(b"mdat", 5) + box(b"moov", 9)[:-1], False),
        (begin + bytes(8), False),
        (b"", False),
    ):
        (tmp_path / "a.mp4").write_bytes(content)
        assert film.is_whole_mp4(tmp_path / "a.mp4") is is_whole


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
