"""A disk that is really full, again and again: a small tmpfs, which only root may mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiny_run

STEPS = 6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs takes root, and failed here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


def used_kilobytes(disk: Path) -> int:
    return int(subprocess.run(["du", "-sk", str(disk)], check=True, capture_output=True).stdout.split()[0])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_disk_that_is_full_again_and_again(disk: Path, tmp_path: Path) -> None:
    """A little more room each time: the command says what is wrong, or goes on; in the end it is as if nothing was."""
    data, workdir = tmp_path / "data", disk / "run"
    tiny_run.write_data(data, has_bars=True)
    tiny_run.finish(tmp_path / "undisturbed", data)
    expected, whole = tiny_run.results(tmp_path / "undisturbed"), used_kilobytes(tmp_path / "undisturbed")
    told = 0
    for step in range(1, STEPS + 1):
        resize(disk, used_kilobytes(disk) + step * whole // (2 * STEPS))
        process = tiny_run.start(workdir, data)
        _, errors = process.communicate(timeout=200)
        if process.returncode == 0:
            break
        said = errors.decode()
        assert process.returncode == 2, said
        assert "no space" in said.lower(), said
        assert "Traceback" not in said, said
        told += 1
    assert told >= 2
    resize(disk, 64 * 1024)
    tiny_run.finish(workdir, data)
    print(f"full {told} times, of {whole} kB")
    assert tiny_run.results(workdir) == expected
