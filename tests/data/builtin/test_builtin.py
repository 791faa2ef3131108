from __future__ import annotations

import numpy as np
import pytest

from munet.data.builtin import glyphs, scripts
from munet.data.open_settings import OpenSettings
from munet.data.splits import SPLITS, Source, source_of_arrays
from munet.data.uris import open_source, parse_uri
from munet.errors import DataError


def _open(name: str, settings: OpenSettings) -> Source:
    return open_source(parse_uri(f"builtin:{name}"), settings)


@pytest.fixture(scope="module")
def greek(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return _open("glyphs/greek", OpenSettings(cache_dir=str(tmp_path_factory.mktemp("cache"))))


def test_digits(tmp_path_factory: pytest.TempPathFactory) -> None:
    source = _open("digits", OpenSettings(cache_dir=str(tmp_path_factory.mktemp("cache"))))
    assert source.class_names == tuple("0123456789")
    assert sum(source.num_examples.values()) == 1797
    parts = source.load()
    assert parts["train"].images.shape == (source.num_examples["train"], 8, 8, 1)
    assert {0, 255} <= set(np.unique(parts["train"].decoded)) <= {round(level * 255 / 16) for level in range(17)}


def test_digits_are_those_of_scikit_learn() -> None:
    """The same images in the same order, so that runs begun with those go on, where it is installed to compare with."""
    load_digits = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed").load_digits
    source, theirs = _open("digits", OpenSettings(cache_dir="off")), load_digits()
    images = np.rint(theirs.images * (255 / 16)).astype(np.uint8)[..., None]
    expected = source_of_arrays("builtin:digits", images, theirs.target.astype(np.int64), source.class_names, seed=0)
    assert source.fingerprint == expected.fingerprint
    assert source.class_names == tuple(map(str, theirs.target_names))


def test_digits_need_no_scikit_learn_and_stay_what_they_are() -> None:
    """The fingerprint stands in the journals of runs."""
    assert (
        _open("digits", OpenSettings(cache_dir="off")).fingerprint
        == "60b70b259a1bfae13a85613902b1714b75364dbc1535275ace70894a13e1cc01"
    )


def test_glyphs_of_a_script(greek: Source) -> None:
    assert greek.class_names == tuple("αβγδεζηθικλμνξοπρςστυφχψω")
    assert greek.num_examples == {"train": 2400, "validation": 300, "test": 300}
    for name in SPLITS:
        part = greek.load()[name]
        assert part.images.shape == (greek.num_examples[name], 32, 32, 1)
        assert (np.bincount(part.labels) == greek.num_examples[name] // 25).all()


def test_glyphs_are_the_same_for_every_seed_and_split_by_it(greek: Source) -> None:
    other = _open("glyphs/greek", OpenSettings(cache_dir="off", seed=1))
    contents = [
        sorted(image.tobytes() for part in source.load().values() for image in part.images) for source in (greek, other)
    ]
    assert contents[0] == contents[1]
    assert greek.fingerprint != other.fingerprint


def test_glyphs_vary_and_can_be_told_apart(greek: Source) -> None:
    # A nearest-neighbour classifier on raw pixels: well above chance (1 in 25), well below certain.
    parts = greek.load()
    train, test = (parts[name].decoded.reshape(len(parts[name]), -1) / 255.0 for name in ("train", "test"))
    assert len({image.tobytes() for image in parts["train"].images}) == 2400
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    found = parts["train"].labels[distance.argmin(1)]
    assert 0.4 < (found == parts["test"].labels).mean() < 0.9


def test_ink_is_inside_and_paper_is_black(greek: Source) -> None:
    images = greek.load()["train"].decoded[..., 0]
    assert images[:, 8:24, 8:24].max((1, 2)).min() > 120
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert np.median(border) < 26


def test_draws_do_not_depend_on_a_library() -> None:
    # The raw words of Philox are fixed; a change would silently be another data set.
    draws = glyphs._uniforms(("glyphs", "x"), 1)[0, :3].tolist()
    assert draws == [0.9346232357743495, 0.1524346522927601, 0.109709531240477]
    grain = glyphs._grain(("grain", "x"), 50)
    assert grain.mean() == pytest.approx(0, abs=0.02)
    assert grain.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("script", scripts.SCRIPTS)
def test_every_script_is_covered_and_bounded(script: str) -> None:
    characters = glyphs._distinct_characters(script)
    assert 10 <= len(characters) <= glyphs.MAX_CLASSES
    assert len(set(characters)) == len(characters)


def test_latin_is_whole_and_look_alikes_are_dropped() -> None:
    assert glyphs._distinct_characters("latin") == list("abcdefghijklmnopqrstuvwxyz")
    assert glyphs._distinct_characters("digits") == list("0123456789")
    shapes = glyphs._distinct_characters("geometric_shapes")
    assert "■" in shapes
    assert "◼" not in shapes


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no built-in set 'glyphs/greec'\. Did you mean 'glyphs/greek'"):
        _open("glyphs/greec", OpenSettings(cache_dir="off"))
    with pytest.raises(DataError, match="Did you mean 'digits'"):
        _open("digit", OpenSettings(cache_dir="off"))
