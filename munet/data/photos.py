"""Image files as people have them: any common format, any size, turned by EXIF, damaged now and then.

Every complaint is a `BadImageError` with one reason, so that a caller may name the file and go on. Nothing is decoded
before its size is known: a small file can claim to be a huge image.
"""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from munet.data.images import Pixels, on_white

# Endings of the files that are taken for images.
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"))
MAX_PIXELS = 178_956_970  # of one image; above, Pillow calls it a decompression bomb
MAX_BYTES = 1 << 29  # of one file, which is read as a whole

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")  # JPEG: MPO too; none that starts other programs
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what undoes each value of EXIF's orientation
_SWAPS = (5, 6, 7, 8)  # those that exchange width and height


class BadImageError(Exception):
    """A file that cannot be used as an image; the message is the reason."""


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself: pixels as people see it, turned upright; whether it has no colours."""

    width: int
    height: int
    is_grey: bool


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of acceptable size.

    Raises:
      BadImageError: it cannot be read, is too large or no regular file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadImageError("no regular file")
        if status.st_size > MAX_BYTES:
            raise BadImageError(f"{status.st_size:,} bytes, more than {MAX_BYTES:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def read_header(data: bytes) -> ImageHeader:
    """The header of an image file; its pixels may still be damaged.

    Raises:
      BadImageError: no image of a known format, or too large.
    """
    with _opened(data) as image:
        width, height = image.size
        if _orientation(image) in _SWAPS:
            width, height = height, width
        is_grey = image.mode.startswith("I") or (image.mode in ("1", "L") and not _is_transparent(image))
        return ImageHeader(width, height, is_grey)


def decode(data: bytes, canvas: int | None) -> Pixels:
    """The pixels of an image file, upright; of an animation the first frame, 16 bits rounded to 8, on white.

    Args:
      data: the whole file.
      canvas: squash to this many pixels on a side; None: as it is. A JPEG that is much larger is decoded at a half, a
        quarter or an eighth of its size at once, as its format allows, which is several times faster.

    Returns:
      One channel if the file's format is grey, else three.

    Raises:
      BadImageError: damaged, too large, or with pixels of unknown range.
    """
    with _opened(data) as image:
        drafted = image.draft(None, (canvas, canvas)) if canvas else None
        orientation = _orientation(image)
        normal = _normal(image)
        if canvas:
            box = drafted[1] if drafted else None
            normal = normal.resize((canvas, canvas), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
        if orientation in _TURNS:
            normal = normal.transpose(_TURNS[orientation])
        pixels = np.asarray(normal)
    if pixels.ndim == 2:
        return pixels[..., None]
    return on_white(pixels) if pixels.shape[-1] == 4 else pixels


@contextmanager
def quietly() -> Iterator[None]:
    """Pillow's warnings (odd metadata, large images) are not shown: what matters becomes a `BadImageError`.

    Holds for all threads while it lasts, so it is entered once around the work of many.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """An image whose size is acceptable; everything that goes wrong inside becomes a `BadImageError`."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image)
            yield image
    except (MemoryError, BadImageError):
        raise
    except UnidentifiedImageError:
        kind = "an empty file" if not data else "no image in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF)"
        raise BadImageError(kind) from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow answers damage with a dozen types: struct.error, SyntaxError, KeyError, ...
        reason = str(error).partition("\n")[0].strip()
        raise BadImageError(f"damaged: {reason or type(error).__name__}") from error


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(f"{image.width:,} x {image.height:,} pixels, more than {MAX_PIXELS:,}")
    if not image.width or not image.height:
        raise BadImageError("an image without pixels")


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1 (upright) where there is none or it cannot be read, as in every viewer."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # damaged metadata do not make an image unusable
        return 1


def _normal(image: Image.Image) -> Image.Image:
    """The image in mode L, RGB or RGBA."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode == "F":
        raise BadImageError("floating-point pixels, whose range is unknown; store 8 or 16 bits")
    if _is_transparent(image):
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _is_transparent(image: Image.Image) -> bool:
    """Whether it has opacity, or a colour that means none."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 0xFFFF):
        raise BadImageError("pixels of 32 bits, whose range is unknown; store 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
