"""The chunks of a PNG file, looked at without decoding its pixels."""

from __future__ import annotations

import struct

_START, _HEAD, _CHECKSUM = 8, 8, 4  # bytes: of the signature, of a chunk's length and type, of its checksum
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_KEYWORD = 79  # bytes of a text's keyword, at most
_METADATA = (b"exif", b"xmp")  # in keywords of texts that may say how an image is turned


def may_be_turned(data: bytes) -> bool:
    """Whether some chunk may say that a PNG is to be turned; such a chunk may stand behind the pixels.

    Args:
      data: the whole file. Where it is cut off or damaged, what is readable counts.
    """
    place = _START
    while place + _HEAD <= len(data):
        (length,), kind = struct.unpack_from(">I", data, place), data[place + 4 : place + _HEAD]
        if kind == b"IEND":
            return False
        text = data[place + _HEAD : place + _HEAD + min(length, _KEYWORD)].lower() if kind in _TEXTS else b""
        if kind == b"eXIf" or any(name in text for name in _METADATA):
            return True
        place += _HEAD + length + _CHECKSUM
    return False
