from __future__ import annotations

import colorsys
import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from munet.config import Defaults
from munet.config.evolve import CropLaw
from munet.data import augment as module
from munet.data.augment import AugmentLaws, AugmentSettings, augment, prepare, prepare_boxes
from munet.data.colours import saturation_and_hue
from munet.data.crops import CropDraws, crop_boxes

RNG = np.random.default_rng(0)
COUNT = 300
TRACES: list[tuple[int, ...]] = []  # one for every program made
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


def _images(size: int = 12, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (COUNT, size, size, channels), np.uint8)


# Few shapes, so that few programs are compiled.
@jax.jit
def _run(images: jax.Array, keys: jax.Array, settings: AugmentSettings) -> jax.Array:
    TRACES.append(images.shape)
    return augment(images, keys, settings, image_size=12, antialias=False)


_prepare = jax.jit(prepare, static_argnums=(1, 2))
_resampling = jax.jit(module._resampling, static_argnums=(2, 3, 4))


def _augment(images: np.ndarray, **changes: float) -> np.ndarray:
    return _augment_by_key(images, 0, **changes)


def _augment_by_key(images: np.ndarray, seed: int, /, **changes: float) -> np.ndarray:
    keys = jax.random.split(jax.random.key(seed), 1)
    return np.asarray(_run(jnp.asarray(images[None]), keys, _settings(**changes))[0])


def _linear_weights(source: int, size: int, antialias: bool) -> np.ndarray:
    """Weights of a linear resize, written down pixel by pixel."""
    weights = np.zeros((size, source))
    reach = max(source / size, 1) if antialias else 1
    for row in range(size):
        centre = (row + 0.5) * source / size - 0.5
        for column in range(source):
            weights[row, column] = max(0, 1 - abs(centre - column) / reach)
    return weights / weights.sum(1, keepdims=True)


def test_settings_are_the_data_settings_of_a_model() -> None:
    settings = AugmentSettings.from_hyperparameters(dataclasses.asdict(Defaults()))
    assert settings.crop_area_min == np.float32(0.05)
    assert settings.flip == 1
    assert all(value.dtype == np.float32 and value.shape == () for value in settings)


@pytest.mark.parametrize(("channels", "source"), [(1, 12), (3, 12), (1, 21)])
def test_without_any_change_it_is_prepare(channels: int, source: int) -> None:
    images = _images(size=source, channels=channels)
    prepared = np.asarray(_prepare(images, 12, False))
    np.testing.assert_allclose(_augment(images), prepared, atol=2e-6)
    assert prepared.shape == (COUNT, 12, 12, 3)
    assert prepared.dtype == np.float32


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_size_keeps_every_pixel(channels: int) -> None:
    images = _images(channels=channels)
    expected = np.broadcast_to(images / 127.5 - 1, (COUNT, 12, 12, 3))
    np.testing.assert_allclose(_prepare(images, 12, False), expected, atol=2e-6)
    np.testing.assert_allclose(_augment(images), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("height", "width", "size", "antialias"), [(105, 105, 32, False), (8, 8, 32, False), (20, 30, 16, True)]
)
def test_prepare_is_the_linear_resize_of_jax(height: int, width: int, size: int, antialias: bool) -> None:
    images = RNG.integers(0, 256, (2, height, width, 3), np.uint8)
    expected = jax.image.resize(images / np.float32(127.5) - 1, (2, size, size, 3), "linear", antialias=antialias)
    np.testing.assert_allclose(_prepare(images, size, antialias), expected, atol=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("start", "length"), [(0, 30), (5, 20), (3, 4), (29, 1)])
def test_a_crop_is_a_slice_then_a_resize(start: int, length: int, antialias: bool) -> None:
    weights = np.asarray(_resampling(jnp.int32(start), jnp.int32(length), 30, 8, antialias))
    expected = np.zeros((8, 30))
    expected[:, start : start + length] = _linear_weights(length, 8, antialias)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def _boxes(
    count: int, height: int, width: int, area_min: float, aspect_min: float, law: CropLaw = "clipped_area"
) -> np.ndarray:
    area, aspect, across, down = jnp.asarray(RNG.random((4, count)), jnp.float32)
    boxes = crop_boxes(
        law, CropDraws(area, aspect, across, down), height, width, np.float32(area_min), np.float32(aspect_min)
    )
    return np.stack([boxes.top, boxes.left, boxes.height, boxes.width])


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


@pytest.mark.parametrize("law", ["uniform_area", "tensorflow"])
@pytest.mark.parametrize("shape", [(28, 28), (105, 60), (24, 97)])
@pytest.mark.parametrize(("area_min", "aspect_min"), [(0.05, 0.75), (0.5, 0.25), (0.9, 0.5), (0.3, 1.0)])
def test_no_crop_is_below_the_minimum(law: CropLaw, shape: tuple[int, int], area_min: float, aspect_min: float) -> None:
    top, left, height, width = _boxes(4000, *shape, area_min, aspect_min, law)
    assert (height * width >= area_min * shape[0] * shape[1] - 1e-3).all()
    assert (np.minimum(top, left) >= 0).all()
    assert (top + height <= shape[0]).all()
    assert (left + width <= shape[1]).all()


def test_the_authors_law_draws_heights_as_tensorflow_does() -> None:
    _, _, height, width = _boxes(20_000, 400, 400, 0.05, 0.75, "tensorflow")
    area, aspect = height * width / 160_000, width / height
    assert area.mean() == pytest.approx(0.380, abs=0.005)
    assert area.min() >= 0.05
    assert aspect.min() == pytest.approx(0.75, abs=0.02)
    near = np.abs(aspect - 1) < 0.05  # of square boxes the height is uniform from sqrt(0.05) of the side to all of it
    heights = np.sort(height[near] / 400)
    uniform = np.linspace(np.sqrt(0.05), 1, len(heights))
    assert np.abs(heights - uniform).max() < 0.04


def test_the_area_is_uniform_where_every_aspect_fits() -> None:
    _, _, height, width = _boxes(20_000, 400, 400, 0.2, 0.999, "uniform_area")
    areas = np.sort(height * width / 160_000)
    assert np.abs(areas - np.linspace(0.2, 1, len(areas))).max() < 0.02


def _by_the_authors(image: np.ndarray, **settings: float) -> np.ndarray:
    laws = AugmentLaws("tensorflow", "source")
    keys = jax.random.split(jax.random.key(0), 1)
    images = jnp.asarray(np.repeat(image[None, None], 40, 1))
    values = augment(images, keys, _settings(**settings), image_size=12, antialias=False, laws=laws)
    return np.asarray(values[0])


def test_the_authors_brightness_is_a_share_of_half_the_range() -> None:
    image = np.full((12, 12, 3), 128, np.uint8)
    shift = _by_the_authors(image, brightness_delta=0.2) - (2 * 128 / 255 - 1)
    assert np.abs(shift).max() <= 0.2 + 1e-6
    assert np.abs(shift).max() > 0.15
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1, :1], shift.shape), atol=1e-6)


def test_the_authors_contrast_turns_about_the_mean_of_the_crop_before_its_resize() -> None:
    image = RNG.integers(0, 256, (24, 24, 3), np.uint8)
    mean = (2 * image.astype(np.float32) / 255 - 1).mean((0, 1))
    changed = _by_the_authors(image, contrast_delta=0.2)
    unchanged = np.asarray(_prepare(image[None], 12, False))[0]
    for one in changed:  # the factor that fits one pixel fits all, about the mean of the source
        pixel = np.unravel_index((np.abs(unchanged - mean) * (np.abs(unchanged) < 0.7)).argmax(), unchanged.shape)
        factor = (one - mean)[pixel] / (unchanged - mean)[pixel]
        np.testing.assert_allclose(one, np.clip(mean + factor * (unchanged - mean), -1, 1), atol=2e-5)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_the_authors_saturation_is_tensorflows_on_values_from_minus_one(factor: float) -> None:
    colours = (2 * RNG.random((200, 3)) - 1).astype(np.float32)
    ones = jnp.ones((1, 1, 1, 1))
    changed = np.asarray(saturation_and_hue(jnp.asarray(colours.T[None, :, :, None]), factor * ones, 0 * ones))
    for before, after in zip(colours, changed[0, :, :, 0].T, strict=True):
        value, low = before.max(), before.min()
        saturation = np.clip((value - low) / value * factor, 0, 1) if value > 0 else 0.0
        spread = saturation * value  # chroma; of channels between, in proportion
        np.testing.assert_allclose(after, value - (value - before) / (value - low) * spread, atol=3e-5)


def test_crop_boxes_of_tiny_images_have_a_pixel() -> None:
    _, _, height, width = _boxes(1000, 8, 8, 0.01, 0.25)
    assert height.min() == 1
    assert width.min() == 1
    assert np.isfinite(_augment(_images(), crop_area_min=0.01, crop_aspect_min=0.25)).all()


def test_flip_mirrors_half_of_the_images() -> None:
    images = _images()
    plain, flipped = _augment(images), _augment(images, flip=True)
    is_mirrored = np.isclose(flipped, plain[:, :, ::-1], atol=1e-5).all((1, 2, 3))
    is_same = np.isclose(flipped, plain, atol=1e-5).all((1, 2, 3))
    assert (is_mirrored ^ is_same).all()
    assert 110 < is_mirrored.sum() < 190


def test_brightness_shifts_an_image_by_one_amount() -> None:
    images = np.full((COUNT, 12, 12, 3), 128, np.uint8)
    shift = (_augment(images, brightness_delta=0.1) - _augment(images)) / 2
    assert np.ptp(shift, axis=(1, 2, 3)).max() < 1e-5
    amounts = shift[:, 0, 0, 0]
    assert amounts.min() == pytest.approx(-0.1, abs=0.005)
    assert amounts.max() == pytest.approx(0.1, abs=0.005)
    assert abs(amounts.mean()) < 0.01


def test_contrast_scales_around_the_mean() -> None:
    images = RNG.integers(100, 156, (COUNT, 12, 12, 3), np.uint8)
    plain, changed = _augment(images), _augment(images, contrast_delta=0.2)
    mean = plain.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(changed.mean((1, 2), keepdims=True), mean, atol=1e-5)
    factor = ((changed - mean) * (plain - mean)).sum((1, 2, 3)) / ((plain - mean) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(changed, (plain - mean) * factor[:, None, None, None] + mean, atol=1e-5)
    assert factor.min() == pytest.approx(0.8, abs=0.02)
    assert factor.max() == pytest.approx(1.2, abs=0.02)


@pytest.mark.parametrize(("factor", "turns"), [(1.0, 0.0), (0.8, 0.0), (1.2, 0.0), (1.0, 0.2), (1.0, -0.2), (1.1, 0.5)])
def test_saturation_and_hue_are_those_of_colorsys(factor: float, turns: float) -> None:
    colours = RNG.random((30, 3)).astype(np.float32)
    colours[:4] = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0]])
    planes = jnp.asarray(colours.T[None, :, :, None])
    ones = jnp.ones((1, 1, 1, 1))
    changed = np.asarray(saturation_and_hue(planes, factor * ones, turns * ones))[0, :, :, 0].T
    for before, after in zip(colours, changed, strict=True):
        red, green, blue = map(float, before)
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        expected = colorsys.hsv_to_rgb((hue + turns) % 1, min(saturation * factor, 1), value)
        np.testing.assert_allclose(after, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["saturation_delta", "hue_delta"])
def test_grey_has_neither_saturation_nor_hue(name: str) -> None:
    grey = _images(channels=1)
    np.testing.assert_array_equal(_augment(grey, **{name: 0.2}), _augment(grey))
    np.testing.assert_allclose(_augment(np.repeat(grey, 3, -1), **{name: 0.2}), _augment(grey), atol=1e-5)


def test_one_grey_channel_gives_what_three_equal_ones_give() -> None:
    grey = _images(channels=1)
    changes = {"crop_area_min": 0.2, "flip": True, "brightness_delta": 0.1, "contrast_delta": 0.2, "hue_delta": 0.1}
    result = _augment(grey, **changes)
    assert (result == result[..., :1]).all()
    np.testing.assert_allclose(result, _augment(np.repeat(grey, 3, -1), **changes), atol=1e-5)


def test_values_stay_in_range() -> None:
    strong = {"brightness_delta": 0.5, "contrast_delta": 1.0, "saturation_delta": 1.0, "hue_delta": 0.5}
    result = _augment(_images(), crop_area_min=0.01, **strong)
    assert np.abs(result).max() <= 1


def test_same_key_same_batch_and_images_draw_apart() -> None:
    images = np.repeat(_images()[:1], COUNT, axis=0)
    first, again, other = (_augment_by_key(images, seed, crop_area_min=0.1) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any((1, 2, 3)).mean() > 0.9
    assert len({image.tobytes() for image in first}) > 200


def test_steps_are_independent_of_each_other() -> None:
    images, settings = jnp.asarray(np.stack([_images(), _images()])), _settings(crop_area_min=0.1)
    keys = jax.random.split(jax.random.key(0), 2)
    together = _run(images, keys, settings)
    alone = _run(images[1:], keys[1:], settings)
    np.testing.assert_allclose(together[1], alone[0], atol=1e-5)


def test_settings_are_traced_and_can_be_stacked() -> None:
    images, keys = jnp.asarray(_images()[None]), jax.random.split(jax.random.key(0), 1)
    choices = [_settings(flip=True), _settings(crop_area_min=0.3), _settings(hue_delta=0.2)]
    expected = [_run(images, keys, settings) for settings in choices[:1]]
    num_programs = len(TRACES)
    expected += [_run(images, keys, settings) for settings in choices[1:]]
    assert len(TRACES) == num_programs
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *choices)
    together = jax.vmap(lambda settings: _run(images, keys, settings))(stacked)
    np.testing.assert_allclose(together, np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_it_lowers_for_accelerators(platform: str) -> None:
    images = jax.ShapeDtypeStruct((2, 8, 28, 28, 3), np.uint8)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    exported = export.export(jax.jit(partial(augment, image_size=32, antialias=False)), platforms=[platform])
    assert exported(images, keys, _settings()).out_avals[0].shape == (2, 8, 32, 32, 3)


@pytest.mark.parametrize("antialias", [False, True])
def test_images_in_boxes_are_prepared_as_those_of_one_shape(antialias: bool) -> None:
    random = np.random.default_rng(0)
    boxes = random.integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)  # beside the images anything may lie
    heights, widths = np.array([20, 7, 13], np.int32), np.array([24, 24, 9], np.int32)
    found = prepare_boxes(jnp.asarray(boxes), jnp.asarray(heights), jnp.asarray(widths), 16, antialias)
    for box, height, width, own in zip(boxes, heights, widths, found, strict=True):
        expected = prepare(jnp.asarray(box[None, :height, :width]), 16, antialias)[0]
        np.testing.assert_allclose(own, expected, atol=1e-5)
