from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from munet.data import images as pixels
from munet.data.conversion import decode_unturned

RNG = np.random.default_rng(0)


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def test_decoding_is_lossless_and_keeps_grey_grey() -> None:
    grey = RNG.integers(0, 256, (5, 7), np.uint8)
    colour = RNG.integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(decode_unturned(_png(Image.fromarray(grey))), grey[..., None])
    np.testing.assert_array_equal(decode_unturned(_png(Image.fromarray(colour))), colour)


def test_one_bit_images_become_black_and_white() -> None:
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    assert decode_unturned(_png(bits))[..., 0].tolist() == [[0, 255], [255, 0]]


def test_palettes_become_colours() -> None:
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)).convert("P")
    assert decode_unturned(_png(image)).shape == (1, 2, 3)


def test_sixteen_bits_are_rounded_not_clipped() -> None:
    values = np.array([[0, 128, 257 * 77, 65535]], np.uint16)
    assert decode_unturned(_png(Image.fromarray(values)))[0, :, 0].tolist() == [0, 0, 77, 255]


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(OSError):
        decode_unturned(b"not an image")


def test_transparency_is_composited_on_white() -> None:
    image = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 200, 128]]], np.uint8)
    expected = [[10, 20, 30], [255, 255, 255], [127, 177, 227]]
    assert pixels.on_white(image)[0].tolist() == expected
    assert decode_unturned(_png(Image.fromarray(image)))[0].tolist() == expected


def test_grey_sets_have_one_channel_and_mixed_ones_three() -> None:
    grey = RNG.integers(0, 256, (2, 4, 4, 1), np.uint8)
    as_colour = np.repeat(grey, 3, axis=-1)
    colour = RNG.integers(0, 256, (1, 4, 4, 3), np.uint8)
    np.testing.assert_array_equal(pixels.merge_channels([grey, as_colour]), np.concatenate([grey, grey]))
    np.testing.assert_array_equal(pixels.merge_channels([grey, colour]), np.concatenate([as_colour, colour]))
    almost = as_colour.copy()
    almost[1, 2, 3, 1] ^= 1
    assert pixels.merge_channels([almost]).shape[-1] == 3


@pytest.mark.parametrize("channels", [1, 3])
def test_squash_ignores_the_aspect(channels: int) -> None:
    image = np.zeros((40, 10, channels), np.uint8)
    image[20:] = 255
    squashed = pixels.squash(image, 16)
    assert squashed.shape == (16, 16, channels)
    assert (squashed[:7] == 0).all()
    assert (squashed[9:] == 255).all()
