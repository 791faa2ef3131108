"""Python that reads an image with Pillow as a task's images were read, for those who have no munet.

It is what `munet.data.conversion` and `munet.serving.inputs` do, in a few lines, but for what is rare (TIFFs of 12 bits
or with black and white exchanged) and for large JPEGs, which munet decodes at a fraction of their size.
"""

from __future__ import annotations

from munet.data.value_range import ValueRange


def reading(shape: tuple[int, ...], canvas: int, value_range: ValueRange | None, *, is_decoded_whole: bool) -> str:
    """Lines that make `image`, in mode RGB, of the file `image.png`; they need `numpy`, `Image` and `ImageOps`.

    Args:
      shape: height, width and channels of the task's images; (): not known, then larger ones than the canvas are
        squashed to it.
      canvas: pixels on a side.
      value_range: of the task's grey files.
      is_decoded_whole: whether the task's images were squashed from all of their pixels.
    """
    return "".join(
        [
            'image = ImageOps.exif_transpose(Image.open("image.png"))\n',
            _grey(value_range),
            "if image.has_transparency_data:\n"
            '    white = Image.new("RGBA", image.size, "white")\n'
            '    image = Image.alpha_composite(white, image.convert("RGBA"))\n',
            'image = image.convert("RGB")\n',
            _squash(shape, canvas, "" if is_decoded_whole else ", reducing_gap=2.0"),
            'image = image.convert("L").convert("RGB")\n' if shape and shape[2] == 1 else "",
        ]
    ).rstrip("\n")


def _grey(value_range: ValueRange | None) -> str:
    """Numbers of more than 8 bits, and all grey ones where the task says what is black and white, as 0 to 255."""
    if value_range is None:
        return (
            'if image.mode.startswith("I"):  # grey of 16 bits\n'
            "    values = (numpy.asarray(image, numpy.uint32) + 128) // 257\n"
            "    image = Image.fromarray(values.astype(numpy.uint8))\n"
        )
    low, width = value_range.low, value_range.high - value_range.low
    return (
        'if image.mode[0] in "IF" or (image.mode == "L" and not image.has_transparency_data):  # the task\'s range\n'
        f"    share = (numpy.asarray(image, numpy.float64) - {low}) / {width}\n"
        "    image = Image.fromarray(numpy.rint(255 * share.clip(0, 1)).astype(numpy.uint8))\n"
    )


def _squash(shape: tuple[int, ...], canvas: int, gap: str) -> str:
    if shape:
        return f"image = image.resize(({shape[1]}, {shape[0]}), Image.Resampling.BILINEAR{gap})\n"
    return (
        f"if max(image.size) > {canvas}:\n"
        f"    image = image.resize(({canvas}, {canvas}), Image.Resampling.BILINEAR{gap})\n"
    )
