"""`munet animate`: a run's evolution as a film, the frames of the graph page's slider."""

from __future__ import annotations

from pathlib import Path

from munet import output_file
from munet.errors import UserError
from munet.report import history
from munet.report.animation import film
from munet.report.graph import page
from munet.report.graph.frames import Frames
from munet.system import view
from munet.text import byte_size, count, say

MOST_FRAMES = 240  # of more journal entries some are left out, evenly
_WIDEST = 1600.0  # pixels; larger pictures are made smaller


def write(workdir: str, output: str, seconds: float) -> None:
    """Writes the film.

    Args:
      workdir: of a run, finished or not.
      output: the file; its ending says what it is.
      seconds: that each frame is shown.

    Raises:
      UserError: another ending than .gif or .mp4, no run or no journal, the file cannot be written, or a package is
        missing.
      CorruptionError: the journal is damaged.
    """
    ending = Path(output).suffix.lower()
    if ending not in (".gif", ".mp4"):
        raise UserError(f"--output={output}: give a name that ends in .gif or .mp4.")
    if not 0.02 <= seconds <= 60:
        raise UserError(f"--seconds={seconds:g}: expected 0.02 to 60 for each frame.")
    if ending == ".mp4":
        film.check_mp4()
    output_file.check_folder("--output", output)
    run = view.open(workdir)
    if run.joint is not None:
        raise UserError(f"{workdir} holds a joint training, which has no journal to be shown.")
    frames = Frames(page.to_data(run.every_task, history.of_run(run)))
    steps = chosen(len(frames))
    pictures = film.images(map(frames.svg, steps), min(1.0, _WIDEST / frames.width))
    with output_file.writing("--output", output) as path:
        (film.write_gif if ending == ".gif" else film.write_mp4)(pictures, path, seconds)
        size = path.stat().st_size
    say(f"film: {output} ({count(len(steps), 'frame')}, {byte_size(size)})")


def chosen(number: int, most: int = MOST_FRAMES) -> list[int]:
    """Which of so many frames are shown: all, or `most` of them evenly, the first and the last included."""
    if number <= most:
        return list(range(number))
    return [round(place * (number - 1) / (most - 1)) for place in range(most)]
