from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from munet.data import photos
from munet.data.value_range import ValueRange
from munet.serving.inputs import Inputs
from tests.data.test_photos import MADE, TURNS, encoded, turned

GREY = Inputs("folder", (12, 8, 1), 128)
COLOUR = Inputs("folder", (12, 8, 3), 128)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 3), np.uint8)
FEW = Image.fromarray(PIXELS // 128 * 255)  # few colours: a palette holds them exactly


def as_mode(mode: str) -> Image.Image:
    return FEW.convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else FEW.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "RGBA", "L", "1", "LA", "PA", "I;16"])
@pytest.mark.parametrize("inputs", [GREY, COLOUR])
def test_an_image_of_pillow_is_what_its_file_is(mode: str, inputs: Inputs) -> None:
    """Its stored numbers are not its pixels: a palette PNG said "Sandal 42%" of what was "Bag 74%"."""
    image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257) if mode == "I;16" else as_mode(mode)
    format = "TIFF" if mode in ("CMYK", "PA") else "PNG"
    if mode == "PA":
        expected = photos.decode(encoded(image.convert("RGBA"), "PNG"), None)
    else:
        expected = photos.decode(encoded(image, format), None)
    assert inputs.shape is not None
    found = inputs.read(image)
    assert found.shape == inputs.shape
    if expected.shape[-1] == inputs.shape[-1]:
        np.testing.assert_array_equal(found, expected)
    if format == "PNG":
        np.testing.assert_array_equal(inputs.read(encoded(image, format)), found)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_an_image_of_pillow_is_turned_upright_once(orientation: int, format: str) -> None:
    data = turned(MADE, orientation, format)
    expected = photos.decode(data, None)
    inputs = Inputs("folder", (*expected.shape[:2], 3), 128)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(inputs.read(image)[..., :1], expected)
        image.load()
        np.testing.assert_array_equal(inputs.read(image)[..., :1], expected)
        assert (image.getexif().get(0x0112, 1) == 1) == (format == "TIFF")  # as it was
    assert len(TURNS) == 8


@pytest.mark.parametrize("kind", ["str", "path", "bytes", "bytearray", "memoryview"])
def test_files_come_as_paths_and_bytes(kind: str, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(PIXELS), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    given: dict[str, Any] = {"str": str(tmp_path / "a.png"), "path": tmp_path / "a.png", "bytes": data}
    given |= {"bytearray": bytearray(data), "memoryview": memoryview(data)}
    np.testing.assert_array_equal(COLOUR.read_all(given[kind]), PIXELS[None])  # one alone
    np.testing.assert_array_equal(COLOUR.read_all([given[kind], PIXELS]), np.stack([PIXELS] * 2))


@pytest.mark.parametrize(
    ("images", "count"),
    [
        (PIXELS, 1), (PIXELS[..., 0], 1), (PIXELS[..., :1], 1), (PIXELS[None], 1), (Image.fromarray(PIXELS), 1),
        (np.zeros((5, 12, 8), np.uint8), 5), (np.zeros((5, 12, 8, 4), np.uint8), 5), ([PIXELS, PIXELS[..., 0]], 2),
        ([], 0), (np.zeros((0, 12, 8, 3), np.uint8), 0),
    ],
)  # fmt: skip
def test_one_image_or_several(images: Any, count: int) -> None:
    assert len(COLOUR.read_all(images)) == count


def test_images_of_the_stored_shape_are_not_copied() -> None:
    images = np.zeros((5, 12, 8, 3), np.uint8)
    assert COLOUR.read_all(images) is images


def test_transparent_pixels_are_white() -> None:
    assert (COLOUR.read(np.zeros((12, 8, 4), np.uint8)) == 255).all()


def test_grey_and_colours_become_what_the_task_has() -> None:
    np.testing.assert_array_equal(GREY.read(np.repeat(PIXELS[..., :1], 3, axis=2)), PIXELS[..., :1])
    np.testing.assert_array_equal(COLOUR.read(PIXELS[..., 0]), np.repeat(PIXELS[..., :1], 3, axis=2))
    assert GREY.read(np.full((12, 8, 3), (255, 0, 0), np.uint8))[0, 0, 0] == 76  # the brightness of red


@pytest.mark.parametrize("scheme", ["folder", "hf", "tfds", "npz"])
def test_other_sizes_come_to_the_stored_one(scheme: str) -> None:
    photo = Image.fromarray(np.linspace(0, 255, 300 * 200).reshape(300, 200).astype(np.uint8))
    inputs = Inputs(scheme, (12, 8, 1), 128)
    expected = np.asarray(photo.resize((8, 12), Image.Resampling.BILINEAR)).astype(int)
    for given in (photo, np.asarray(photo), encoded(photo, "PNG"), encoded(photo, "JPEG", quality=95)):
        found = inputs.read(given)
        assert found.shape == (12, 8, 1)
        assert np.abs(found[..., 0] - expected).max() <= 3


@pytest.mark.parametrize("scheme", ["tfds", "npz", "memory", "builtin"])
def test_sets_that_were_squashed_from_pixels_have_files_squashed_so(scheme: str) -> None:
    """A large JPEG was decoded at a fraction of its size, as those of folders, whose training images were too."""
    noise = np.random.default_rng(0).integers(0, 256, (900, 700, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=95)
    inputs = Inputs(scheme, (64, 64, 3), 64)
    with Image.open(io.BytesIO(data)) as image:
        whole = np.asarray(image)
        np.testing.assert_array_equal(inputs.read(data), inputs.read(whole))
        np.testing.assert_array_equal(inputs.read(image), inputs.read(whole))


def test_runs_that_noted_no_shape_keep_images_up_to_their_canvas() -> None:
    inputs = Inputs("folder", None, 16)
    shapes = [image.shape for image in inputs.read_all([PIXELS, PIXELS[..., 0], np.zeros((40, 9, 3), np.uint8)])]
    assert shapes == [(12, 8, 3), (12, 8, 1), (16, 16, 3)]


def test_the_range_of_the_task_is_that_of_its_images() -> None:
    inputs = Inputs("folder", (1, 3, 1), 128, ValueRange(0, 4095))
    image = Image.fromarray(np.array([[0, 2048, 4095]], np.uint16))
    assert inputs.read(image).ravel().tolist() == [0, 128, 255]
    assert inputs.read(encoded(image, "TIFF")).ravel().tolist() == [0, 128, 255]
