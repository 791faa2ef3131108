"""Folders and tables as people have them: what can be understood is, and what messages propose works."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from munet.data.folder import labels_csv
from munet.data.tasks import Task, load_task
from munet.errors import DataError

FULL, APART = unicodedata.normalize("NFC", "\u00e9t\u00e9"), unicodedata.normalize("NFD", "\u00e9t\u00e9")


def images(folder: Path, *names: str, suffix: str = ".png") -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (6, 6, 3), np.uint8)
        Image.fromarray(pixels).save(path.with_suffix(suffix))


def load(uri: str) -> Task:
    return load_task(uri, cache_dir="off")


NAMES = [f"{kind} {number}.png" for kind in (FULL, "b") for number in range(12)]


def table(folder: Path, head: str, row: str, names: list[str] = NAMES) -> str:
    lines = [row.format(name, name.split()[0]) for name in names]
    (folder / "labels.csv").write_text("\n".join([head, *lines]), encoding="utf-8")
    return f"folder:{folder}"


@pytest.mark.parametrize(("head", "row"), [("path;label", "{};{}"), ("path\tlabel", "{}\t{}"), ("path,label", "{},{}")])
def test_separators_of_spreadsheets(tmp_path: Path, head: str, row: str) -> None:
    images(tmp_path, *NAMES)
    assert load(table(tmp_path, head, row)).info.class_names == ("b", FULL)


def test_absolute_paths_inside_of_the_folder(tmp_path: Path) -> None:
    images(tmp_path, *NAMES)
    assert load(table(tmp_path, "path,label", f"{tmp_path}/{{}},{{}}")).info.num_train == 20
    with pytest.raises(DataError, match="leads out of the folder"):
        load(table(tmp_path, "path,label", f"{tmp_path}x/{{}},{{}}"))


@pytest.mark.parametrize(("on_disk", "in_table"), [(FULL, APART), (APART, FULL)])
def test_letters_that_are_encoded_otherwise(tmp_path: Path, on_disk: str, in_table: str) -> None:
    images(tmp_path, *(name.replace(FULL, on_disk) for name in NAMES))
    task = load(table(tmp_path, "path,label", "{},{}", [name.replace(FULL, in_table) for name in NAMES]))
    assert task.info.class_names == ("b", FULL)


def test_classes_that_print_alike_are_refused(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    for pair in ((FULL, APART), ("a", "a ")):
        np.savez(tmp_path / "x.npz", images=np.zeros((40, 4, 4), np.uint8), labels=labels, class_names=np.array(pair))
        with pytest.raises(DataError, match="two classes are called") as caught:
            load(f"npz:{tmp_path}/x.npz")
        assert ascii(pair[1]) in str(caught.value)


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    images, labels = np.zeros((40, 4, 4), np.uint8), np.arange(40) % 3
    np.savez(tmp_path / "x.npz", images=images, labels=labels, class_names=np.array(["crane", "tern", "crane"]))
    with pytest.raises(DataError, match="two classes are called 'crane', numbers 0 and 2"):
        load(f"npz:{tmp_path}/x.npz")


def test_only_rows_that_are_shown_have_a_hint(tmp_path: Path) -> None:
    """Each looks through a folder: 50,000 rows took hours to be refused."""
    images(tmp_path, *NAMES)
    listing = table(tmp_path, "path,label", "{}.jpg,{}")
    with (
        mock.patch.object(labels_csv, "_nearest_file", wraps=labels_csv._nearest_file) as hints,
        pytest.raises(DataError, match="Did you mean") as caught,
    ):
        load(listing)
    assert str(caught.value).endswith(f"and {len(NAMES) - 5} more")
    assert hints.call_count == 5


def test_images_that_are_not_read_are_not_called_no_images(tmp_path: Path) -> None:
    images(tmp_path, "a/1", "a/2", "b/1", "b/2", suffix=".ppm")
    (tmp_path / "a" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"Images in formats that are not read .*: 4 \.ppm\. Convert them to PNG or"):
        load(f"folder:{tmp_path}")
    images(tmp_path, *(f"{name}/{number}" for name in "ab" for number in range(12)))
    notes = " ".join(load(f"folder:{tmp_path}").notes)
    assert "4 .ppm" in notes
    assert "no images: 1 .txt." in notes


ODD = ("it's", 'say "hi"', "a b", "\u00e9t\u00e9", "100%", "#1", "a,b", "[x]", "a&b=c?d")


@pytest.mark.parametrize("name", ODD)
def test_what_messages_propose_for_paths_works(tmp_path: Path, name: str) -> None:
    images(tmp_path / name / "a", *map(str, range(12)))
    images(tmp_path / name / "b", *map(str, range(12)))
    np.savez(tmp_path / f"{name}.npz", images=np.zeros((40, 4, 4), np.uint8), labels=np.arange(40) % 2)
    for wrong in (f"folder:{tmp_path}/{name}x", f"npz:{tmp_path}/{name}x.npz"):
        with pytest.raises(DataError) as caught:
            load(wrong)
        scheme = wrong.partition(":")[0]
        proposed = [text for text in proposals(str(caught.value)) if (tmp_path / text).exists()]
        assert proposed, str(caught.value)
        assert load(f"{scheme}:{tmp_path}/{proposed[0]}").info.num_train == (20 if scheme == "folder" else 32)
    with pytest.raises(DataError) as caught:
        load(f"folder:{tmp_path}/{name}/a")
    whole = re.search(r"Did you mean (folder:.*)\?$", str(caught.value))
    assert whole
    assert load(whole[1]).info.num_train == 20


def proposals(message: str) -> list[str]:
    """What stands in quotes after "Did you mean"."""
    import ast

    found = message.partition("Did you mean ")[2].removesuffix("?").split(" or ")
    return [ast.literal_eval(text) for text in found if text[:1] in "'\""]
