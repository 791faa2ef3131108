from __future__ import annotations

import colorsys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from munet.config import Defaults
from munet.data import augment as module
from munet.data.augment import AugmentSettings, augment, prepare

RNG = np.random.default_rng(0)
PLAIN = {
    "crop_area_min": 1.0,
    "crop_aspect_min": 0.75,
    "flip": False,
    "brightness_delta": 0.0,
    "contrast_delta": 0.0,
    "saturation_delta": 0.0,
    "hue_delta": 0.0,
}


def _settings(**changes: float | bool) -> AugmentSettings:
    return AugmentSettings.from_hyperparameters({**PLAIN, **changes})


def _images(count: int = 16, size: int = 12, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (count, size, size, channels), np.uint8)


@partial(jax.jit, static_argnames=("size", "antialias"))
def _run(images: jax.Array, seed: jax.Array, settings: AugmentSettings, size: int, antialias: bool) -> jax.Array:
    return augment(images[None], jax.random.key(seed)[None], settings, image_size=size, antialias=antialias)[0]


def _augment(images: np.ndarray, size: int = 12, seed: int = 0, antialias: bool = False, **changes: float) -> np.ndarray:
    return np.asarray(_run(jnp.asarray(images), jnp.uint32(seed), _settings(**changes), size, antialias))


def test_settings_are_the_data_settings_of_a_model() -> None:
    settings = AugmentSettings.from_hyperparameters(vars(Defaults()))
    assert settings.crop_area_min == np.float32(0.05)
    assert settings.flip == 1
    assert all(value.dtype == np.float32 and value.shape == () for value in settings)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "size"), [(12, 12), (12, 20), (21, 12)])
def test_without_any_change_it_is_prepare(channels: int, source: int, size: int) -> None:
    images = _images(8, source, channels)
    prepared = np.asarray(prepare(jnp.asarray(images), size, antialias=False))
    np.testing.assert_allclose(_augment(images, size), prepared, atol=2e-6)
    assert prepared.shape == (8, size, size, 3)
    assert prepared.dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_size_keeps_every_pixel(channels: int) -> None:
    images = _images(4, 12, channels)
    expected = np.broadcast_to(images / 127.5 - 1, (4, 12, 12, 3))
    np.testing.assert_allclose(prepare(jnp.asarray(images), 12, antialias=False), expected, atol=2e-6)
    np.testing.assert_allclose(_augment(images), expected, atol=2e-6)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("source", "size"), [((28, 28), 32), ((105, 105), 32), ((8, 8), 32), ((20, 30), 16)])
def test_prepare_is_a_linear_resize(source: tuple[int, int], size: int, antialias: bool) -> None:
    images = RNG.integers(0, 256, (2, *source, 3), np.uint8)
    expected = jax.image.resize(images / 127.5 - 1, (2, size, size, 3), "linear", antialias=antialias)
    np.testing.assert_allclose(prepare(jnp.asarray(images), size, antialias=antialias), expected, atol=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("top", "left", "height", "width"), [(0, 0, 20, 30), (3, 5, 7, 20), (19, 29, 1, 1)])
def test_a_crop_is_a_slice_then_a_resize(top: int, left: int, height: int, width: int, antialias: bool) -> None:
    image = RNG.random((20, 30)).astype(np.float32)
    rows = module._resampling(jnp.int32(top), jnp.int32(height), 20, 8, antialias)
    columns = module._resampling(jnp.int32(left), jnp.int32(width), 30, 8, antialias)
    cut = image[top : top + height, left : left + width]
    expected = jax.image.resize(cut, (8, 8), "linear", antialias=antialias)
    np.testing.assert_allclose(rows @ image @ columns.T, expected, atol=1e-5)


def _boxes(count: int, height: int, width: int, area_min: float, aspect_min: float) -> np.ndarray:
    draws = jnp.asarray(RNG.random((4, count)), jnp.float32)
    settings = _settings(crop_area_min=area_min, crop_aspect_min=aspect_min)
    return np.stack(module._crop_boxes(*draws, height, width, settings))


def test_crop_boxes_lie_inside_and_have_the_asked_area_and_aspect() -> None:
    top, left, height, width = _boxes(4000, 200, 300, 0.1, 0.5)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 200).all()
    assert (left + width <= 300).all()
    is_whole_side = (height == 200) | (width == 300)
    area, aspect = height * width / 60_000, width / height
    assert area[~is_whole_side].min() == pytest.approx(0.1, abs=0.02)
    assert aspect[~is_whole_side].min() == pytest.approx(0.5, abs=0.03)
    assert aspect[~is_whole_side].max() == pytest.approx(2.0, abs=0.1)
    # Uniform in [0.1, 1]: a third of the boxes is below 0.4. (Clipping only makes boxes smaller, and only large ones.)
    assert (area < 0.4).mean() == pytest.approx(1 / 3, abs=0.05)
    assert top.min() == 0
    assert (top + height).max() == 200


def test_crop_boxes_without_cropping_are_whole_whatever_the_aspect() -> None:
    top, left, height, width = _boxes(100, 20, 30, 1.0, 0.25)
    assert not top.any()
    assert not left.any()
    assert (height == 20).all()
    assert (width == 30).all()


def test_crop_boxes_of_tiny_images_have_a_pixel() -> None:
    _, _, height, width = _boxes(1000, 8, 8, 0.01, 0.25)
    assert height.min() == 1
    assert width.min() == 1
    images = _images(64, 8)
    assert np.isfinite(_augment(images, 32, crop_area_min=0.01, crop_aspect_min=0.25)).all()


def test_flip_mirrors_half_of_the_images() -> None:
    images = _images(400, 4)
    plain, flipped = _augment(images, 4), _augment(images, 4, flip=True)
    is_mirrored = np.isclose(flipped, plain[:, :, ::-1], atol=1e-5).all((1, 2, 3))
    is_same = np.isclose(flipped, plain, atol=1e-5).all((1, 2, 3))
    assert (is_mirrored ^ is_same).all()
    assert 150 < is_mirrored.sum() < 250


def test_brightness_shifts_an_image_by_one_amount() -> None:
    images = np.full((500, 4, 4, 3), 128, np.uint8)
    shift = (_augment(images, 4, brightness_delta=0.1) - _augment(images, 4)) / 2
    assert np.ptp(shift, axis=(1, 2, 3)).max() < 1e-5
    amounts = shift[:, 0, 0, 0]
    assert amounts.min() == pytest.approx(-0.1, abs=0.005)
    assert amounts.max() == pytest.approx(0.1, abs=0.005)
    assert abs(amounts.mean()) < 0.01


def test_contrast_scales_around_the_mean() -> None:
    images = RNG.integers(100, 156, (300, 6, 6, 3), np.uint8)
    plain, changed = _augment(images, 6), _augment(images, 6, contrast_delta=0.2)
    mean = plain.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(changed.mean((1, 2), keepdims=True), mean, atol=1e-5)
    factor = ((changed - mean) * (plain - mean)).sum((1, 2, 3)) / ((plain - mean) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(changed, (plain - mean) * factor[:, None, None, None] + mean, atol=1e-5)
    assert factor.min() == pytest.approx(0.8, abs=0.02)
    assert factor.max() == pytest.approx(1.2, abs=0.02)


@pytest.mark.parametrize(("factor", "turns"), [(1.0, 0.0), (0.8, 0.0), (1.2, 0.0), (1.0, 0.2), (1.0, -0.2), (1.1, 0.5)])
def test_saturation_and_hue_are_those_of_colorsys(factor: float, turns: float) -> None:
    colours = RNG.random((30, 3)).astype(np.float32)
    colours[:4] = [[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]]
    planes = jnp.asarray(colours.T[None, :, :, None])
    ones = jnp.ones((1, 1, 1, 1))
    changed = np.asarray(module._saturation_and_hue(planes, factor * ones, turns * ones))[0, :, :, 0].T
    for before, after in zip(colours, changed, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        expected = colorsys.hsv_to_rgb((hue + turns) % 1, min(saturation * factor, 1), value)
        np.testing.assert_allclose(after, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["saturation_delta", "hue_delta"])
def test_grey_has_neither_saturation_nor_hue(name: str) -> None:
    grey = _images(8, 6, 1)
    np.testing.assert_array_equal(_augment(grey, 6, **{name: 0.2}), _augment(grey, 6))
    np.testing.assert_allclose(_augment(np.repeat(grey, 3, -1), 6, **{name: 0.2}), _augment(grey, 6), atol=1e-5)


def test_one_grey_channel_gives_what_three_equal_ones_give() -> None:
    grey = _images(32, 12, 1)
    changes = {"crop_area_min": 0.2, "flip": True, "brightness_delta": 0.1, "contrast_delta": 0.2, "hue_delta": 0.1}
    result = _augment(grey, 16, **changes)
    assert (result == result[..., :1]).all()
    np.testing.assert_allclose(result, _augment(np.repeat(grey, 3, -1), 16, **changes), atol=1e-5)


def test_values_stay_in_range() -> None:
    strong = {"brightness_delta": 0.5, "contrast_delta": 1.0, "saturation_delta": 1.0, "hue_delta": 0.5}
    result = _augment(_images(64, 8), 8, crop_area_min=0.01, **strong)
    assert np.abs(result).max() <= 1


def test_same_key_same_batch_and_images_draw_apart() -> None:
    images = np.repeat(_images(1), 20, axis=0)
    first, again, other = (_augment(images, crop_area_min=0.1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any((1, 2, 3)).mean() > 0.9
    assert len({image.tobytes() for image in first}) > 15


def test_steps_are_independent_of_each_other() -> None:
    images, keys = jnp.asarray(_images(24).reshape(3, 8, 12, 12, 3)), jax.random.split(jax.random.key(0), 3)
    together = jax.jit(partial(augment, image_size=12, antialias=False))(images, keys, _settings(crop_area_min=0.1))
    alone = augment(images[1:2], keys[1:2], _settings(crop_area_min=0.1), image_size=12, antialias=False)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-6)


def test_settings_are_traced_and_can_be_stacked() -> None:
    images, key = jnp.asarray(_images(4)[None]), jax.random.split(jax.random.key(0), 1)
    run = jax.jit(partial(augment, image_size=12, antialias=False))
    run(images, key, _settings())
    choices = [_settings(flip=True), _settings(crop_area_min=0.3), _settings(hue_delta=0.2)]
    expected = [run(images, key, settings) for settings in choices]
    assert run._cache_size() == 1
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *choices)
    together = jax.vmap(run, in_axes=(None, None, 0))(images, key, stacked)
    np.testing.assert_allclose(together, jnp.stack(expected), atol=1e-5)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_it_lowers_for_accelerators(platform: str) -> None:
    images = jax.ShapeDtypeStruct((2, 8, 28, 28, 3), jnp.uint8)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    exported = export.export(jax.jit(partial(augment, image_size=32, antialias=False)), platforms=[platform])
    assert exported(images, keys, _settings()).out_avals[0].shape == (2, 8, 32, 32, 3)
