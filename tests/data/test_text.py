"""`text:` by bytes and `builtin:text/python`: contiguous splits, symbols, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
from munet.data.text import source_of_text
from munet.errors import DataError

TEXTS = OpenSettings(objectives=("next_token",))


def test_splits_are_contiguous_and_targets_are_the_next_symbols(tmp_path: Path) -> None:
    text = bytes(np.random.default_rng(0).choice(np.frombuffer(b"ab\n \xff", np.uint8), 20_000))
    (tmp_path / "own.txt").write_bytes(text)
    task = open_task(f"text:{tmp_path}/own.txt", TEXTS)
    assert (task.info.name, task.info.objective) == ("own", "next_token")
    assert task.info.class_names == ("0x0a", "0x20", "a", "b", "0xff")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (17_999, 999, 999)
    symbols = np.unique(np.frombuffer(text, np.uint8))
    with task.testing():
        parts = [task.split(name) for name in ("train", "validation", "test")]  # type: ignore[arg-type]  # names
    whole = b"".join(bytes(symbols[[*part.decoded, part.labels[-1]]]) for part in parts)
    assert whole == text
    for part in parts:
        assert part.decoded.dtype == np.uint8
        np.testing.assert_array_equal(part.decoded[1:], part.labels[:-1])


def test_a_text_that_was_learnt_before_is_the_same_today() -> None:
    digest = "2f37e707ebb76ed364891afd3aa45a9f92d2db2caaa455be1f0e76e4bf13b677"
    assert source_of_text("text:own.txt", [b"ab\n " * 3000]).fingerprint == digest


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    texts = {"train.txt": b"ab" * 6_000, "valid.txt": b"abc" * 100, "test.txt": b"abd" * 50}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    task = open_task(f"text:{tmp_path}", TEXTS)
    assert task.info.class_names == ("a", "b", "c", "d")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (11_999, 299, 149)
    np.testing.assert_array_equal(task.split("validation").decoded[:4], [0, 1, 2, 0])
    (tmp_path / "valid.txt").write_bytes(b"abc" * 5)
    with pytest.raises(DataError, match=r"valid\.txt has 15 bytes; expected 20 or more"):
        open_task(f"text:{tmp_path}", TEXTS)
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(
        DataError, match=r"has train\.txt and test\.txt, but no valid\.txt\. Add what is missing, or name"
    ):
        open_task(f"text:{tmp_path}", TEXTS)
    (tmp_path / "wiki.train.tokens").write_bytes(texts["train.txt"])
    with pytest.raises(DataError, match=r"no valid\.txt"):  # the set that is nearest
        open_task(f"text:{tmp_path}", TEXTS)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"no files of a text\. Expected three .*wiki\.train\.tokens.*; train\.txt"):
        open_task(f"text:{tmp_path}/none", TEXTS)


def test_the_language_reference_is_a_text() -> None:
    task = open_task("builtin:text/python", TEXTS)
    assert task.info.name == "text/python"
    assert task.info.num_train > 300_000
    assert {"e", "(", "0x20"} < set(task.info.class_names)


def test_who_needs_classes_refuses_in_words() -> None:
    with pytest.raises(DataError, match="no images, but a text whose next symbol is predicted"):
        open_task("builtin:text/python", OpenSettings())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"short", "has 5 bytes; expected a text of 10,000 or more"),
        (b"a" * 10_000, "one symbol only, a: there is nothing"),
    ],
)
def test_texts_that_cannot_be_learnt_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "own.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        open_task(f"text:{tmp_path}/own.txt", TEXTS)
    with pytest.raises(DataError, match=r"there is no file .*ow\.txt.*own\.txt"):
        open_task(f"text:{tmp_path}/ow.txt", TEXTS)


def test_a_text_is_not_changed_by_options() -> None:
    with pytest.raises(DataError, match="only images and their classes can be changed"):
        open_task("builtin:text/python?rotate=90", TEXTS)
