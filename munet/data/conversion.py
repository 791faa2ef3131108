"""An image of Pillow's to pixels: upright, in grey or colours of 8 bits, on white; one way for files and for memory."""

from __future__ import annotations

import io

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from munet.data.images import Pixels, on_white
from munet.data.room import DECODING
from munet.data.value_range import ValueRange

Side = int | tuple[int, int]  # of a square, or height and width

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
_BITS, _PHOTOMETRIC, _FORMAT = 258, 262, 339  # tags of TIFF
_MIN_IS_WHITE, _UNSIGNED = 0, 1  # values of the last two


class BadImageError(Exception):
    """A file that cannot be used as an image; the message is the reason."""


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width of an image as people see it, before or after it is loaded."""
    width, height = image.size
    is_turned = isinstance(image, TiffImagePlugin.TiffImageFile)  # Pillow does it, in sizes as soon as it opens one
    return (width, height) if _orientation(image) in _SWAPS and not is_turned else (height, width)


def is_grey(image: Image.Image) -> bool:
    """Whether it is of a format without colours and opacity."""
    return image.mode.startswith(("I", "F")) or (image.mode in ("1", "L") and not _is_transparent(image))


def decode_unturned(data: bytes) -> Pixels:
    """The pixels of an encoded image of a prepared set, which knows no orientation: one channel if grey, else three.

    Raises:
      OSError: it is no readable image (`PIL.UnidentifiedImageError` is one).
      BadImageError: its values' range is unknown.
    """
    with Image.open(io.BytesIO(data)) as image, DECODING.room_for(image.width * image.height):
        is_plain = image.mode in ("1", "L")  # whatever colour may mean opacity
        return _channels(np.asarray(image.convert("L") if is_plain else _normal(image, None)))


def to_pixels(
    image: Image.Image,
    size: Side | None = None,
    box: tuple[float, float, float, float] | None = None,
    value_range: ValueRange | None = None,
) -> Pixels:
    """The pixels of an image, which is loaded for it but not changed.

    Args:
      image: in any mode of Pillow's, with its orientation among its metadata.
      size: squash to this; None: as it is.
      box: the part of the stored image that is squashed; None: all of it.
      value_range: of grey images; None: that of 8 or 16 bits. Black-and-white and colours have theirs.

    Returns:
      One channel if it is of a grey format, else three.

    Raises:
      BadImageError: its values' range is unknown.
    """
    image.load()  # turns a TIFF, and then says that it is upright
    orientation = _orientation(image)
    normal = _normal(image, value_range)
    if size is not None:
        height, width = (size, size) if isinstance(size, int) else size
        target = (height, width) if orientation in _SWAPS else (width, height)
        normal = normal.resize(target, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if orientation in _TURNS:
        normal = normal.transpose(_TURNS[orientation])
    return _channels(np.asarray(normal))


def _channels(pixels: np.ndarray) -> Pixels:
    """With one channel or three, on white."""
    if pixels.ndim == 2:
        return pixels[..., None]
    return on_white(pixels) if pixels.shape[-1] == 4 else pixels


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1 (upright) where there is none or it cannot be read, as in every viewer."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # damaged metadata do not make an image unusable
        return 1


def _normal(image: Image.Image, value_range: ValueRange | None) -> Image.Image:
    """The image in mode L, RGB or RGBA."""
    if image.mode.startswith(("I", "F")) or (value_range and image.mode == "L" and not _is_transparent(image)):
        return Image.fromarray(_grey_values(image, value_range))
    if _is_transparent(image):
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _is_transparent(image: Image.Image) -> bool:
    """Whether it has opacity, or a colour that means none."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _grey_values(image: Image.Image, value_range: ValueRange | None) -> np.ndarray:
    """An image of one number a pixel, as 0 to 255.

    Raises:
      BadImageError: nobody says what is black and white.
    """
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    bits = _first(tags.get(_BITS), 8 * values.dtype.itemsize)
    if values.dtype == np.int32 and bits == 32 and _first(tags.get(_FORMAT), 0) == _UNSIGNED:
        values = values.view(np.uint32)  # Pillow knows no such mode
    is_16_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if value_range is None and not is_16_bits:
        kind = "floating-point" if image.mode == "F" else "signed 16-bit" if bits == 16 else f"{bits}-bit"
        raise BadImageError(
            f"{kind} pixels, whose range is unknown; store 8 or 16 bits, or say it: a folder: or hf: task takes "
            "?range=LOW,HIGH"
        )
    known = value_range or ValueRange(0, (1 << bits) - 1 if bits in (12, 16) else 0xFFFF)
    is_inverted = image.mode != "L" and _first(tags.get(_PHOTOMETRIC), 1) == _MIN_IS_WHITE  # of 8 bits Pillow does it
    if value_range is None and known.high == 0xFFFF:
        grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    else:
        grey = known.to_bytes(values)
    return 255 - grey if is_inverted else grey


def _first(value: object, default: int) -> int:
    """A tag's number: TIFF has some once for every channel."""
    found = value[0] if isinstance(value, tuple) and value else value
    return found if isinstance(found, int) else default
