"""The lines of a card that read an image: the pixels that munet itself reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from munet.data.uris import SCHEMES
from munet.data.value_range import ValueRange
from munet.export.reading import reading
from munet.serving.inputs import Inputs

RANDOM = np.random.default_rng(0)
SLOPE = np.add.outer(np.arange(90) * 2, np.arange(70))  # up to 247


def colours(channels: int) -> np.ndarray:
    return np.stack([np.roll(SLOPE, 9 * n, axis=1) for n in range(channels)], axis=-1).astype(np.uint8)


def sixteen_bits() -> Image.Image:
    return Image.fromarray((SLOPE * 257).astype(np.uint16))


def see_through() -> Image.Image:
    values = colours(4)
    values[:40, :, 3] = 255
    return Image.fromarray(values)


def pixels(code: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.chdir(place)
    names: dict[str, Any] = {"numpy": np, "Image": Image, "ImageOps": ImageOps}
    exec(code, names)  # what the card says to run
    assert names["image"].mode == "RGB"
    return np.asarray(names["image"])


@pytest.mark.parametrize("scheme", ["folder", "npz"])
@pytest.mark.parametrize("shape", [(24, 20, 3), (24, 20, 1), None])
@pytest.mark.parametrize(
    ("image", "value_range"),
    [
        (Image.fromarray(colours(3)), None),
        (Image.fromarray(colours(3)).convert("CMYK"), None),
        (Image.fromarray(colours(3)).quantize(16), None),
        (see_through(), None),
        (see_through().convert("LA"), None),
        (sixteen_bits(), None),
        (sixteen_bits(), ValueRange(0, 30_000)),
        (Image.fromarray(SLOPE.astype(np.float32)), ValueRange(20, 200)),
        (Image.fromarray(SLOPE.astype(np.uint8)), ValueRange(0, 100)),
        (Image.fromarray(SLOPE > 99), ValueRange(0, 100)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_they_are_those_that_munet_reads(
    scheme: str,
    shape: tuple[int, int, int] | None,
    image: Image.Image,
    value_range: ValueRange | None,
    orientation: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if image.mode in ("CMYK", "F"):  # packed: Pillow turns others twice
        image.save(tmp_path / "image.png", "TIFF", exif=exif, compression="tiff_deflate")
    else:
        image.save(tmp_path / "image.png", exif=exif)
    whole = SCHEMES[scheme].is_decoded_whole
    found = pixels(reading(shape or (), 32, value_range, is_decoded_whole=whole), tmp_path, monkeypatch)
    expected = Inputs(scheme, shape, 32, value_range).read(tmp_path / "image.png")
    assert found.shape == (*expected.shape[:2], 3)
    difference = np.abs(found.astype(int) - expected).max()
    assert difference <= (4 if image.mode in ("RGBA", "LA") else 1)  # rounded before and after squashing and turns
