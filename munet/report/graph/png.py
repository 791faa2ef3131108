"""A picture in SVG as PNG, drawn by `vl-convert-python` (the extra `report`): no browser, no network."""

from __future__ import annotations

from munet.errors import UserError

_SCALE = 2.0  # pixels of the PNG per pixel of the picture: sharp on today's screens


def from_svg(text: str) -> bytes:
    """The picture as a PNG file.

    Raises:
      UserError: the package is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise UserError(
            "A PNG needs the package vl-convert-python, which is not installed: pip install 'munet[report]', or write "
            "the graph as SVG (--output=graph.svg)."
        ) from error
    return bytes(vl_convert.svg_to_png(text, scale=_SCALE))
