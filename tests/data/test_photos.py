from __future__ import annotations

import io
import logging
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from munet.data import photos, png_chunks
from munet.data.photos import BadImageError, ImageHeader, decode, read_header
from munet.data.value_range import ValueRange

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 8, 3), np.uint8)  # 8 wide, 12 high
FLAT = np.full((12, 8, 3), (200, 60, 30), np.uint8)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=format, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {}, 8),
        ("JPEG", {}, 4),
        ("JPEG", {"progressive": True}, 4),
        ("GIF", {}, 0),
    ],
)
def test_formats(format: str, options: dict[str, Any], tolerance: int) -> None:
    data = encoded(Image.fromarray(FLAT), format, **options)
    assert read_header(data) == ImageHeader(8, 12, is_grey=False)
    decoded = decode(data, None)
    assert decoded.shape == (12, 8, 3)
    assert np.abs(decoded.astype(int) - FLAT).max() <= tolerance


def test_of_an_animation_the_first_frame() -> None:
    frames = [Image.new("RGB", (8, 12), colour) for colour in ("red", "lime")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(data, None)[0, 0], (255, 0, 0))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_rounded_to_eight(format: str) -> None:
    values = np.array([[0, 128, 129, 257 * 77, 65535]], np.uint16)
    data = encoded(Image.fromarray(values), format)
    assert read_header(data).is_grey
    assert decode(data, None)[0, :, 0].tolist() == [0, 0, 1, 77, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 2048, 4095, 5000]], np.uint16), [0, 128, 255, 255]),
        (np.array([[0, 2048, 4095, -7]], np.int32), [0, 128, 255, 0]),
        (np.array([[0, 2047.5, 4095, np.nan]], np.float32), [0, 128, 255, 0]),
        (np.array([[0, 16, 255, 8]], np.uint8), [0, 1, 16, 0]),
    ],
)
def test_grey_images_of_a_given_range(values: np.ndarray, expected: list[int]) -> None:
    data = encoded(Image.fromarray(values), "TIFF")
    assert decode(data, None, ValueRange(0, 4095))[0, :, 0].tolist() == expected
    colours = encoded(Image.fromarray(FLAT), "TIFF")
    np.testing.assert_array_equal(decode(colours, None, ValueRange(0, 4095)), FLAT)


@pytest.mark.parametrize("values", [np.array([[0, 255]], np.int32), np.array([[0.0, 1.0]], np.float32)])
def test_values_of_unknown_range_are_refused(values: np.ndarray) -> None:
    """As 16 bits, 255 would be black."""
    with pytest.raises(BadImageError, match=r"whose range is unknown.*\?range=LOW,HIGH"):
        decode(encoded(Image.fromarray(values), "TIFF"), None)


@pytest.mark.parametrize(
    "values", [np.array([[0, 4112, 65535]], np.uint16), np.array([[0, 16, 255]], np.uint8)], ids=["16", "8"]
)
def test_min_is_white(values: np.ndarray) -> None:
    data = encoded(Image.fromarray(values), "TIFF")
    entry = struct.pack("<HHI", 262, 3, 1)
    assert data.count(entry) == 1
    inverted = data.replace(entry + struct.pack("<H", 1), entry + struct.pack("<H", 0))
    assert decode(data, None)[0, :, 0].tolist() == [0, 16, 255]
    assert decode(inverted, None)[0, :, 0].tolist() == [255, 239, 0]


def test_cmyk() -> None:
    image = Image.fromarray(FLAT).convert("CMYK")
    assert np.abs(decode(encoded(image, "TIFF"), None).astype(int) - FLAT).max() <= 1
    assert np.abs(decode(encoded(image, "JPEG"), None).astype(int) - FLAT).max() <= 8


def test_palettes_and_transparency_on_white() -> None:
    palette = Image.fromarray(FLAT).convert("P")
    assert decode(encoded(palette, "PNG"), None).shape == (12, 8, 3)
    clear = encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))
    assert (decode(clear, None)[0, 0] == 255).all()
    assert not (decode(encoded(palette, "PNG"), None)[0, 0] == 255).all()
    grey = encoded(Image.new("L", (8, 12), 7), "PNG", transparency=7)
    assert not read_header(grey).is_grey
    assert (decode(grey, None) == 255).all()
    half = Image.new("RGBA", (8, 12), (0, 0, 0, 128))
    assert (decode(encoded(half, "PNG"), None) == 127).all()
    assert (decode(encoded(half, "PNG"), 4) == 127).all()
    assert (decode(encoded(Image.new("LA", (8, 12), (0, 0)), "PNG"), None) == 255).all()


MADE = np.full((48, 32), 40, np.uint8)  # what people see: 32 wide, 48 high
MADE[:16, :16], MADE[:16, 16:], MADE[32:, :16] = 250, 180, 110  # three corners tell every turn from the others
TURNS = {  # where EXIF says that row 0 and column 0 of the stored image are
    1: lambda image: image, 2: lambda image: image[:, ::-1], 3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1], 5: lambda image: image.T, 6: lambda image: image.T[::-1],
    7: lambda image: image.T[::-1, ::-1], 8: lambda image: image.T[:, ::-1],
}  # fmt: skip


def turned(upright: np.ndarray, orientation: int, format: str, **options: Any) -> bytes:
    """A file that stores an image as a camera held otherwise does, and says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(TURNS[orientation](upright)))
    return encoded(stored, format, exif=exif, **options)


@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True}), ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "jpeg", "quality": 100}),
        ("MPO", {"quality": 100}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_upright_once(orientation: int, format: str, options: dict[str, Any]) -> None:
    """Pillow turns a TIFF itself while it loads it, and no other format."""
    data = turned(MADE, orientation, format, **options)
    header = read_header(data)
    assert (header.width, header.height) == (32, 48)
    assert np.abs(decode(data, None)[..., 0].astype(int) - MADE).max() <= (3 if format in ("JPEG", "MPO") else 2)
    squashed = decode(data, (6, 4))[..., 0].astype(int)  # the same grid of colours
    assert squashed.shape == (6, 4)
    assert np.abs(squashed[[0, 0, -1, -1], [0, -1, 0, -1]] - [250, 180, 110, 40]).max() <= 3
    assert decode(data, 6).shape[:2] == (6, 6)


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size() -> None:
    ramp = np.linspace(0, 255, 1003 * 1501).reshape(1003, 1501, 1).astype(np.uint8).repeat(3, axis=2)
    image = Image.fromarray(ramp)
    whole = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decode(encoded(image, "JPEG", quality=95), 64) - whole).max() <= 2
    assert np.abs(decode(encoded(image, "PNG"), 64) - whole).max() <= 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"hello", "no image in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image in a known format"),
        (encoded(Image.fromarray(COLOUR), "PNG")[:-40], "damaged"),
        (encoded(Image.fromarray(COLOUR), "JPEG")[:-40], "damaged: .*truncated"),
        (encoded(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"), "floating-point"),
        (encoded(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"), "32-bit pixels, whose range is unknown"),
    ],
)
def test_bad_files_have_one_reason(data: bytes, reason: str) -> None:
    with photos.quietly(), pytest.raises(BadImageError, match=reason):
        decode(data, None)


def test_a_huge_image_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(encoded(Image.fromarray(COLOUR), "PNG"))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with photos.quietly(), pytest.raises(BadImageError, match=r"more than 178,956,970"):
        read_header(bytes(data))
    monkeypatch.setattr(photos, "MAX_PIXELS", 95)
    with pytest.raises(BadImageError, match=r"8 x 12 pixels, more than 95"):
        decode(encoded(Image.fromarray(COLOUR), "PNG"), None)


def test_damaged_metadata_do_not_matter() -> None:
    data = encoded(Image.fromarray(FLAT), "JPEG", exif=b"Exif\0\0nonsense")
    with photos.quietly():
        assert decode(data, None).shape == (12, 8, 3)


def test_damaged_files_write_nothing_into_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this one Pillow logs an error, which filled the pipe that nobody read behind a server."""
    data = encoded(Image.fromarray(FLAT), "TIFF")
    samples = data.index(struct.pack("<HHI", 277, 3, 1)) + 8  # SamplesPerPixel, one SHORT
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a program that says nothing of logs
    with photos.quietly(), pytest.raises(BadImageError, match="no image in a known format"):
        read_header(data[:samples] + struct.pack("<H", 60_000) + data[samples + 2 :])
    assert capsys.readouterr().err == ""


def test_the_header_of_a_png_is_read_without_its_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes all of a PNG that is asked for its orientation, which may stand behind the pixels."""
    loads, prepare = list[str](), PngImagePlugin.PngImageFile.load_prepare

    def counted(image: PngImagePlugin.PngImageFile) -> None:
        loads.append(str(image.format))
        prepare(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", counted)
    plain = encoded(Image.fromarray(FLAT), "PNG", pnginfo=texts(Comment="nothing of interest"))
    assert read_header(plain) == ImageHeader(8, 12, is_grey=False)
    assert not loads
    behind = exif_behind_the_pixels(turned(MADE, 6, "PNG"))
    header = read_header(behind)
    assert (header.width, header.height) == (32, 48)
    assert loads == ["PNG"]


def test_a_png_turned_by_a_text_is_upright() -> None:
    data = encoded(Image.fromarray(FLAT), "PNG", pnginfo=texts(**{"XML:com.adobe.xmp": '<x tiff:Orientation="6"/>'}))
    assert read_header(data) == ImageHeader(12, 8, is_grey=False)
    assert decode(data, None).shape == (8, 12, 3)


@pytest.mark.parametrize("size", [0, 7, 9, 20, 45, -1])
def test_chunks_of_a_file_that_is_cut_off(size: int) -> None:
    data = encoded(Image.fromarray(FLAT), "PNG")
    assert not png_chunks.may_be_turned(data[:size])


def texts(**given: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for keyword, text in given.items():
        info.add_text(keyword, text)
    return info


def exif_behind_the_pixels(data: bytes) -> bytes:
    """The same PNG with its eXIf chunk at the end."""
    start = data.index(b"eXIf") - 4
    (length,) = struct.unpack_from(">I", data, start)
    chunk = data[start : start + 12 + length]
    end = data.index(b"IEND") - 4
    return data[:start] + data[start + len(chunk) : end] + chunk + data[end:]
