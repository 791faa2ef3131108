"""Room is kept from the first pixel of a file on that Pillow decodes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from munet.data import photos


@pytest.mark.parametrize(
    ("format", "canvas", "pixels"),
    [("PNG", None, 64 * 64), ("PNG", 8, 64 * 64), ("JPEG", 8, 8 * 8), ("JPEG", None, 64 * 64)],
)
def test_nothing_is_decoded_without_room(
    format: str, canvas: int | None, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a PNG not even the orientation is known before it is decoded."""
    taken: list[int] = []
    seen: list[bool] = []  # whether room was kept, of every time that something was decoded
    is_kept = False

    class Room:
        @contextmanager
        def room_for(self, pixels: int) -> Iterator[None]:
            nonlocal is_kept
            taken.append(pixels)
            is_kept = True
            yield
            is_kept = False

    load = ImageFile.ImageFile.load

    def loaded(image: Any) -> Any:
        seen.append(is_kept)
        return load(image)

    stream = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(stream, format)
    monkeypatch.setattr(photos, "DECODING", Room())
    monkeypatch.setattr(ImageFile.ImageFile, "load", loaded)
    assert photos.decode(stream.getvalue(), canvas).shape == (canvas or 64, canvas or 64, 3)
    assert taken == [pixels]
    assert all(seen)
    assert seen
