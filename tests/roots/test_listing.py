"""`munet roots`, as a person sees it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from munet.cli import main
from munet.roots import cached_files, names
from munet.vit.augreg import demo_root_path


def test_the_list_names_what_is_known_and_what_is_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = next(iter(names.KNOWN))
    for url in (names.url(name), "https://example.org/mine.npz"):
        place = cached_files.place(url, str(tmp_path))
        place.parent.mkdir(parents=True)
        shutil.copy(demo_root_path(), place)
    cached_files.remember(place, "https://example.org/mine.npz")
    assert main(["roots", f"--cache_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    for known in names.KNOWN:
        assert known in shown
    assert str(place) in shown
    assert "5,524,416" in shown
    assert main(["roots", f"--cache_dir={tmp_path}", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)["roots"]}
    assert listed["demo"]["num_params"] == 199_680
    assert listed[f"augreg:{name}"]["cached"]["source"] == "put there by hand"
    assert listed["https://example.org/mine.npz"]["cached"]["sha256"] == cached_files.file_sha256(place)
    assert listed["augreg:" + list(names.KNOWN)[1]]["cached"] is None


def test_one_root_is_checked_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roots", "demo"]) == 0
    shown = capsys.readouterr().out
    for text in ("demo/16", "199,680", "--config.root=demo --config.variant=demo/16 --config.num_blocks=3"):
        assert text in shown
    assert main(["roots", "demo", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert (described["variant"], described["num_blocks"], described["image_size"]) == ("demo/16", 3, 32)


def test_a_wrong_one_is_the_users_to_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["roots", "augreg:nothing"]) == 2
    assert "is no name of the release" in capsys.readouterr().err
