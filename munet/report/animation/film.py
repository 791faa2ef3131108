"""Pictures one after the other as a file: GIF by Pillow, MP4 by `imageio-ffmpeg` (the extra `video`)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from munet.errors import UserError
from munet.report.graph import png

if TYPE_CHECKING:
    from PIL import Image

_COLOURS = 128  # of a GIF, which has at most 256; few, so that it stays small


def images(svgs: Iterable[str], scale: float = 1.0) -> Iterator[Image.Image]:
    """The pictures as images."""
    from PIL import Image

    for svg in svgs:
        drawn = Image.open(io.BytesIO(png.from_svg(svg, scale))).convert("RGBA")
        paper = Image.new("RGBA", drawn.size, "white")  # beside the round corners
        yield Image.alpha_composite(paper, drawn).convert("RGB")


def write_gif(pictures: Iterable[Image.Image], path: Path, seconds: float) -> None:
    """A GIF that begins again; the last picture stays longer.

    Args:
      pictures: all of one size; at least one.
      path: of the file.
      seconds: of every picture.

    Raises:
      OSError: the file cannot be written.
    """
    from PIL import Image

    frames = [picture.quantize(_COLOURS, dither=Image.Dither.NONE) for picture in pictures]
    times = [round(1000 * seconds)] * len(frames)
    times[-1] = round(1000 * max(3 * seconds, 2.0))
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=False)


def write_mp4(pictures: Iterable[Image.Image], path: Path, seconds: float) -> None:
    """An MP4 (H.264) that everything plays.

    Raises:
      UserError: `imageio-ffmpeg` is missing.
      OSError: the file cannot be written, or not all of it.
    """
    writer: Any = None
    for picture in pictures:
        even = picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2))  # the codec wants even sizes
        if writer is None:
            writer = _ffmpeg(path, even.size, 1 / seconds)
        writer.send(even.tobytes())
    writer.close()
    if not is_whole_mp4(path):
        raise OSError("ffmpeg ended before the film was whole")  # it does not say why; most often a disk is full


def is_whole_mp4(path: Path) -> bool:
    """Whether a file's boxes fill it, and the index is among them, which ffmpeg writes last.

    That ffmpeg has failed is not told by `imageio-ffmpeg`, which does not look at its exit status.
    """
    kinds, place, end = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while place < end:
            file.seek(place)
            head = file.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:], "big") if size == 1 else size  # of a box that is larger than 4 GiB
            if size < 8:
                return False
            kinds.add(head[4:8])
            place += size
    return place == end and b"moov" in kinds


def check_mp4() -> None:
    """Refuses to begin without what writes MP4.

    Raises:
      UserError: it is missing.
    """
    try:
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise UserError(
            "An MP4 needs imageio-ffmpeg: pip install -e '.[video]' in munet's folder (the extra `video`). A GIF needs "
            "nothing more: --output=evolution.gif."
        ) from error


def _ffmpeg(path: Path, size: tuple[int, int], rate: float) -> Any:
    import imageio_ffmpeg

    with path.open("wb"):  # says in time what the operating system refuses
        pass
    form = ["-f", "mp4"]  # whatever the file is called while it is written
    writer = imageio_ffmpeg.write_frames(
        str(path), size, fps=rate, codec="libx264", macro_block_size=2, output_params=form
    )
    writer.send(None)
    return writer
