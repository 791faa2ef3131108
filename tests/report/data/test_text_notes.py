"""What `munet data` says of texts, and refuses to do with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from munet.cli.main import main


@pytest.fixture
def text(tmp_path: Path) -> str:
    place = tmp_path / "small"
    place.mkdir()
    for name, words in (("train", "a b\n" * 1_000), ("valid", "a c\n" * 10), ("test", "d b\n" * 10)):
        (place / f"{name}.txt").write_text(words)
    return f"text:{place}?unit=words"


def test_a_text_is_told_in_words(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(text.removeprefix("text:").partition("?")[0]).parent)  # where a sheet would be written
    assert main(["data", text, "builtin:digits", "--sheet_dir="]) == 0
    said = capsys.readouterr().out
    assert "a text by words, 5 different ones. There are 2,999 to predict in training, 29 in validation, 29 in" in said
    assert "Most frequent: b 33.3%, <eos> 33.3%, a 33.3%" in said
    assert "2 symbols are not in training and cannot be learnt: 10 of 29 in validation, 9 of 29 in test" in said
    # By hand: of validation 9 a, 10 c, 10 <eos>; a third each but c, which was seen never.
    wanted = ((1_000 / 3_004) ** 9 * (1 / 3_004) ** 10 * (1_001 / 3_004) ** 10) ** (-1 / 29)
    assert (
        f"as often as it occurs in training gives in validation: perplexity {wanted:.2f}, the lower the better" in said
    )
    assert "8x8 grey" in said  # the images beside it
    assert main(["data", text]) == 0
    assert "contact sheet" not in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--check_leaks", "--to_folder=images"])
def test_what_is_for_images_is_refused(text: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", text, option]) == 2
    assert "everything else takes images and their classes" in capsys.readouterr().err
