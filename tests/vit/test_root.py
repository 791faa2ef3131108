"""`munet.load_root`, judged by timm, which reads the same files and shares no code with us."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import munet
from munet.errors import UserError
from tests.vit.make_timm_golden import images, timm_features

GOLDEN = Path(__file__).parent / "golden" / "timm_ti16_features.npz"


def test_features_of_the_shared_root_are_those_of_timm(shared_root: Path) -> None:
    root = munet.load_root(shared_root)
    assert (root.variant.name, root.num_blocks, root.image_size) == ("Ti/16", 3, 32)
    with np.load(GOLDEN) as golden:
        np.testing.assert_allclose(root.features(images()), golden["features"], atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # timm's and torch's own
def test_features_of_the_shared_root_are_those_of_timm_now(shared_root: Path) -> None:
    pytest.importorskip("timm", reason="needs timm")
    ours = munet.load_root(shared_root).features(images())
    np.testing.assert_allclose(ours, timm_features(shared_root, images()), atol=1e-4)


def test_the_demo_root_at_another_size_with_fewer_layers() -> None:
    root = munet.load_root("demo", image_size=48, num_layers=1)
    features = root.features(images(48))
    assert features.shape == (8, 64)
    assert features.dtype == np.float32
    assert list(root.components) == ["embedding", "cls", "posembed_input", "encoderblock_0", "encoder_norm"]


def test_many_images_give_what_few_give_and_none_gives_none() -> None:
    root = munet.load_root("demo", num_layers=1)
    few = images()
    many = np.concatenate([few] * 33)  # more than one chunk, the last one partly filled
    np.testing.assert_allclose(root.features(many), np.tile(root.features(few), (33, 1)), atol=1e-5)
    assert root.features(few[:0]).shape == (0, 64)


def test_wrong_arguments_are_explained() -> None:
    with pytest.raises(UserError, match=r"num_layers=4: expected 1 to 3"):
        munet.load_root("demo", num_layers=4)
    with pytest.raises(UserError, match=r"image_size=40 is no multiple .* use 32 or 48"):
        munet.load_root("demo", image_size=40)
    root = munet.load_root("demo")
    with pytest.raises(UserError, match=r"uint8 images of shape \(2, 32, 32, 3\); expected float32"):
        root.features(np.zeros((2, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"expected float32 .* \(n, 32, 32, 3\)"):
        root.features(np.zeros((2, 28, 28, 1), np.float32))


def test_public_names_are_lazy_and_a_wrong_one_is_an_attribute_error() -> None:
    assert "load_root" in munet.__all__
    with pytest.raises(AttributeError, match="no attribute 'load_rot'"):
        munet.load_rot  # noqa: B018 - the access is the test
