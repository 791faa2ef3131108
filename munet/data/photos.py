"""Image files as people have them: any common format, any size, turned by EXIF, damaged now and then.

Every complaint is a `BadImageError` with one reason, so that a caller may name the file and go on. Nothing is decoded
before its size is known: a small file can claim to be a huge image. Many large ones wait for each other (`room.py`).
"""

from __future__ import annotations

import io
import logging
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from munet.data import conversion, png_chunks
from munet.data.conversion import BadImageError, Side
from munet.data.images import Pixels
from munet.data.room import DECODING
from munet.data.value_range import ValueRange

__all__ = ["BadImageError", "ImageHeader", "check_size", "decode", "num_pixels", "quietly", "read_bytes", "read_header"]

# Endings of the files that are taken for images.
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"))
MAX_PIXELS = 178_956_970  # of one image; above, Pillow calls it a decompression bomb
Choose = Callable[[tuple[int, int]], Side | None]  # the canvas of an image of some height and width
MAX_BYTES = 1 << 29  # of one file, which is read as a whole

# Of damaged files Pillow logs errors, too, which Python would print where nobody has said what to do with logs: whoever
# sends images to a server would write into its log.
logging.getLogger("PIL").addHandler(logging.NullHandler())

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF")  # JPEG: MPO too; none that starts other programs


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
        height, width = _upright_size(image, data)
        return ImageHeader(width, height, conversion.is_grey(image))


def _upright_size(image: Image.Image, data: bytes) -> tuple[int, int]:
    """As `conversion.upright_size`; of a PNG Pillow would decode all to learn that nothing turns it."""
    if image.format == "PNG" and not png_chunks.may_be_turned(data):
        return image.height, image.width
    return conversion.upright_size(image)


def _as_it_is(pixels: Pixels) -> Pixels:
    return pixels


def decode(data: bytes, canvas: Side | None, value_range: ValueRange | None = None) -> Pixels:
    """The pixels of an image file, upright; of an animation the first frame, 16 bits rounded to 8, on white.

    Args:
      data: the whole file.
      canvas: squash to this many pixels on a side, or height and width; None: as it is. A JPEG that is much larger is
        decoded at a half, a quarter or an eighth of its size at once, as its format allows, which is several times
        faster.
      value_range: of grey images; None: that of 8 or 16 bits.

    Returns:
      One channel if the file's format is grey, else three.

    Raises:
      BadImageError: damaged, too large, or with pixels of unknown range.
    """
    return decode_as(data, lambda _: canvas, value_range)


def decode_as(
    data: bytes, choose: Choose, value_range: ValueRange | None = None, finish: Callable[[Pixels], Pixels] = _as_it_is
) -> Pixels:
    """As `decode`, on a canvas that follows from the image's height and width.

    Args:
      data, value_range: as for `decode`.
      choose: gives the canvas.
      finish: what is done with the pixels while there is room for them (`room.py`); it decodes nothing.

    Raises:
      BadImageError: as `decode`.
    """
    with _opened(data) as image, ExitStack() as kept:
        whole = image.width * image.height
        is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
        if not is_jpeg:  # of a PNG Pillow decodes all where it is asked for the orientation
            kept.enter_context(DECODING.room_for(whole))
        canvas = choose(conversion.upright_size(image))
        side = canvas if isinstance(canvas, int) or canvas is None else max(canvas)
        drafted = image.draft(None, (side, side)) if side else None
        if is_jpeg:
            # A progressive JPEG is in memory as a whole, whatever it is decoded to.
            pixels = whole if image.info.get("progressive") else image.width * image.height
            kept.enter_context(DECODING.room_for(pixels))
        return finish(conversion.to_pixels(image, canvas, drafted[1] if drafted else None, value_range))


def num_pixels(data: bytes) -> int:
    """The pixels that an image file claims; none is decoded, as `read_header` may for metadata of a PNG.

    Raises:
      BadImageError: no image of a known format, or too large.
    """
    with _opened(data) as image:
        return image.width * image.height


def convert(
    image: Image.Image,
    choose: Choose,
    value_range: ValueRange | None = None,
    finish: Callable[[Pixels], Pixels] = _as_it_is,
) -> Pixels:
    """As `decode_as`, of an image that Pillow has opened or made, in any mode; its present frame.

    Raises:
      BadImageError: as `decode`.
    """
    with _explained():
        check_size(image)
        canvas = choose(conversion.upright_size(image))
        with DECODING.room_for(image.width * image.height):
            return finish(conversion.to_pixels(image, canvas, value_range=value_range))


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
    if not data:
        raise BadImageError("an empty file")
    with _explained(), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        check_size(image)
        yield image


@contextmanager
def _explained() -> Iterator[None]:
    """Everything that goes wrong inside becomes a `BadImageError`."""
    try:
        yield
    except (MemoryError, BadImageError):
        raise
    except UnidentifiedImageError:
        raise BadImageError("no image in a known format (JPEG, PNG, WebP, GIF, BMP, TIFF)") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # Pillow answers damage with a dozen types: struct.error, SyntaxError, KeyError, ...
        reason = str(error).partition("\n")[0].strip()
        raise BadImageError(f"damaged: {reason or type(error).__name__}") from error


def check_size(image: Image.Image) -> None:
    """Refuses an image, before it is decoded, that has too many pixels or none.

    Raises:
      BadImageError: it does.
    """
    if image.width * image.height > MAX_PIXELS:
        raise BadImageError(f"{image.width:,} x {image.height:,} pixels, more than {MAX_PIXELS:,}")
    if not image.width or not image.height:
        raise BadImageError("an image without pixels")
