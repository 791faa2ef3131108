"""A picture in SVG as PNG: no browser, no network."""

from __future__ import annotations

_SCALE = 2.0  # pixels of the PNG per pixel of the picture: sharp on today's screens


def from_svg(text: str, scale: float = _SCALE) -> bytes:
    """The picture as a PNG file, `scale` pixels for each of its own."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(text, scale=scale))
