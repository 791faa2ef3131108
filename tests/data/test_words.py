"""`text:PATH?unit=words`: the vocabulary, `<eos>`, folders as WikiText-2 is distributed, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.data import words
from munet.data.open_settings import OpenSettings
from munet.data.tasks import Task, open_task
from munet.errors import DataError

TEXTS = OpenSettings(objectives=("next_token",))
LINES = " = Title = \n\nthe cat sat\n"  # nine words, of which three are <eos>
WIKITEXT = ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens")


def folder(path: Path, *texts: str) -> str:
    path.mkdir()
    for name, text in zip(WIKITEXT, texts, strict=True):
        (path / name).write_text(text, encoding="utf-8", newline="")
    return f"text:{path}?unit=words"


def spoken(task: Task, name: str) -> list[str]:
    split = task.split(name)  # type: ignore[arg-type]  # a name
    return [task.info.class_names[number] for number in (*split.decoded, split.labels[-1])]


def test_words_are_numbered_as_they_come(tmp_path: Path) -> None:
    uri = folder(tmp_path / "wikitext-2", LINES * 300, "the dog sat\r\n" * 20, "a\rb" * 20)
    task = open_task(uri, TEXTS)
    assert (task.info.name, task.source.unit, task.info.objective) == ("wikitext-2", "words", "next_token")
    assert task.info.class_names == ("=", "Title", "<eos>", "the", "cat", "sat", "dog", "a", "ba", "b")
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (300 * 9 - 1, 79, 41)
    assert spoken(task, "train")[:9] == ["=", "Title", "=", "<eos>", "<eos>", "the", "cat", "sat", "<eos>"]
    assert spoken(task, "validation")[:5] == ["the", "dog", "sat", "<eos>", "the"]
    with task.testing():  # a line need not end
        assert spoken(task, "test")[-4:] == ["ba", "<eos>", "b", "<eos>"]
    train = task.split("train")
    assert train.decoded.dtype == np.uint8
    assert train.labels.dtype == np.int32
    np.testing.assert_array_equal(train.decoded[1:], train.labels[:-1])


def test_a_file_is_cut_in_words(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("one two three\n" * 1_000)
    task = open_task(f"text:{tmp_path}/own.txt?unit=words", TEXTS)
    assert (task.info.num_train, task.info.num_validation, task.info.num_test) == (3_599, 199, 199)
    other = open_task(f"text:{tmp_path}/own.txt", TEXTS)
    assert (other.source.unit, other.info.num_train) == ("bytes", 12_599)
    assert task.info.fingerprint != other.info.fingerprint


def test_many_words_need_two_bytes_each(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("\n".join(f"w{number}" for number in range(30_000)))
    task = open_task(f"text:{tmp_path}/own.txt?unit=words", TEXTS)
    assert task.info.num_classes == 30_001
    assert task.split("train").decoded.dtype == np.uint16
    with task.testing():
        assert spoken(task, "test")[-2:] == ["w29999", "<eos>"]


def test_where_a_text_is_cut_is_part_of_it(tmp_path: Path) -> None:
    uris = [
        folder(tmp_path / "one", LINES * 300, LINES * 20, LINES * 20),
        folder(tmp_path / "other", LINES * 299, LINES * 21, LINES * 20),
    ]
    first, second = (open_task(uri, TEXTS).info.fingerprint for uri in uris)
    assert first != second


def test_words_that_look_alike_are_two(tmp_path: Path) -> None:
    uri = folder(tmp_path / "alike", "caf\u00e9 cafe\u0301 \x1b[2J\n" * 1_000, LINES * 20, LINES * 20)
    assert open_task(uri, TEXTS).info.num_classes == 9


@pytest.mark.parametrize(
    ("text", "query", "said"),
    [
        (LINES * 300, "units=words", "a text task has no option 'units'. Did you mean 'unit'?"),
        (LINES * 300, "unit=words&split=clean", "a text task has no option 'split'"),
        (LINES * 300, "unit=word", "unit=word. Did you mean 'words'?"),
        (LINES * 10, "unit=words", "it has 90 words; expected a text of 2,000 or more"),
        ("\n" * 2_000, "unit=words", "one symbol only, <eos>: there is nothing"),
    ],
)
def test_texts_that_cannot_be_learnt_are_refused(tmp_path: Path, text: str, query: str, said: str) -> None:
    (tmp_path / "own.txt").write_text(text)
    with pytest.raises(DataError) as refused:
        open_task(f"text:{tmp_path}/own.txt?{query}", TEXTS)
    assert said in str(refused.value)


def test_a_folder_that_is_not_there_is_told_with_what_a_text_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError) as refused:
        open_task(f"text:{tmp_path}/wikitext-2?unit=words", TEXTS)
    assert f"there is no file {tmp_path}/wikitext-2. Beside it: photos. A text is a file, or a folder" in str(
        refused.value
    )
    assert "wiki.train.tokens, wiki.valid.tokens, wiki.test.tokens; " in str(refused.value)


def test_what_is_not_utf8_is_told_with_its_place(tmp_path: Path) -> None:
    uri = folder(tmp_path / "wikitext-2", LINES * 400, LINES * 20, LINES * 20)
    with (tmp_path / "wikitext-2" / "wiki.valid.tokens").open("ab") as file:
        file.write("café\n".encode("latin1"))
    with pytest.raises(DataError, match=r"line 61 of wiki\.valid\.tokens is not UTF-8 \(byte 0xe9\).*iconv"):
        open_task(uri, TEXTS)
    assert open_task(uri.partition("?")[0], TEXTS).source.unit == "bytes"  # whatever they are


def test_more_words_than_can_be_told_apart_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MAX_CLASSES", 6)
    uri = folder(tmp_path / "wikitext-2", LINES * 300, "the dog sat\n" * 20, LINES * 20)
    with pytest.raises(DataError, match=r"up to line 1 of wiki\.valid\.tokens .* 7 different words, .*<unk>"):
        open_task(uri, TEXTS)
