"""Scripts for `builtin:glyphs/<script>`: which characters each has (see `glyphs.py` for how they are drawn).

Only scripts that the fonts shipped with matplotlib cover are here. Capitals are scripts of their own: at a random scale
many differ from their small letters in nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_ARABIC_EXTRA = (0x67E, 0x686, 0x698, 0x6A9, 0x6AF, 0x6CC)  # the letters Persian adds

# One weight of line only: the width of strokes is what varies within a class.
_LIGHT_BOXES = "─│┄┆┈┊┌┐└┘├┤┬┴┼╌╎═║╒╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡╢╣╤╥╦╧╨╩╪╫╬╭╮╯╰"

_CODES: dict[str, Sequence[int]] = {
    "arabic": (*range(0x621, 0x640), *range(0x641, 0x64B), *_ARABIC_EXTRA),
    "armenian": range(0x561, 0x587),
    "armenian_capitals": range(0x531, 0x557),
    "arrows": range(0x2190, 0x2200),
    "box_drawing": [*map(ord, _LIGHT_BOXES), *range(0x2571, 0x2574)],
    "braille": range(0x2801, 0x2840),
    "canadian_syllabics": range(0x1401, 0x1677),
    "cyrillic": range(0x430, 0x460),
    "cyrillic_capitals": range(0x400, 0x430),
    "digits": range(0x30, 0x3A),
    "geometric_shapes": range(0x25A0, 0x2600),
    "georgian": range(0x10D0, 0x10FB),
    "georgian_capitals": range(0x10A0, 0x10C6),
    "greek": range(0x3B1, 0x3CA),
    "greek_capitals": range(0x391, 0x3AA),
    "hebrew": range(0x5D0, 0x5EB),
    "ipa": range(0x250, 0x2B0),
    "lao": range(0xE81, 0xEDF),
    "latin": range(0x61, 0x7B),
    "latin_capitals": range(0x41, 0x5B),
    "latin_extended": range(0x180, 0x250),
    "lisu": range(0xA4D0, 0xA4F8),
    "math_operators": range(0x2200, 0x2300),
    "nko": range(0x7C0, 0x7EB),
    "ogham": range(0x1681, 0x169B),
    "old_italic": range(0x10300, 0x10324),
    "symbols": range(0x2600, 0x2700),
    "tifinagh": range(0x2D30, 0x2D70),
}
SCRIPTS: tuple[str, ...] = tuple(_CODES)


def characters(script: str) -> list[str]:
    """The letters, digits and symbols of a script by code point, whether or not a font has them.

    Raises:
      KeyError: there is no such script.
    """
    return [chr(code) for code in _CODES[script] if unicodedata.category(chr(code))[0] in "LNSP"]
