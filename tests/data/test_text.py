"""`text:` and `builtin:text/python`: contiguous splits, symbols, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data.open_settings import OpenSettings
from munet.data.tasks import open_task
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
        np.testing.assert_array_equal(part.decoded[1:], part.labels[:-1])


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
    [(b"short", "has 5 bytes; expected a text of 10,000"), (b"a" * 10_000, "one symbol only, a: there is nothing")],
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
