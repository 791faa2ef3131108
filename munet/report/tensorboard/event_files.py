"""TensorBoard's event files of a run, written by `tensorboardX` (the extra `tensorboard`)."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from munet.errors import UserError
from munet.report.graph import png
from munet.report.tensorboard.points import Picture, Points, Scalar, Trial

_SUFFIX = ".munet"  # of our files, so that others' are left alone
_TRIALS = "children"


class EventFiles:
    """Writes the points of one run; a context.

    Args:
      place: of the run below the log directory. What an earlier call wrote there is replaced.

    Raises:
      UserError: `tensorboardX` is missing, or nothing can be written there.
    """

    def __init__(self, place: Path):
        self._writer_of = _writers()
        self._place = place
        try:
            place.mkdir(parents=True, exist_ok=True)
            for old in place.rglob(f"events.out.tfevents.*{_SUFFIX}"):
                old.unlink()
            shutil.rmtree(place / _TRIALS, ignore_errors=True)
            self._writer = self._writer_of(place)
        except OSError as error:
            raise UserError(
                f"--logdir: {place} cannot be written: {error.strerror or error}. Give a directory that can be made."
            ) from error

    def write(self, points: Points) -> None:
        """Writes what an entry adds; it is on disk when this returns. Times are seconds of training."""
        for item in points.items:
            if isinstance(item, Scalar):
                self._writer.add_scalar(item.tag, item.value, points.step, points.seconds)
            elif isinstance(item, Picture):
                pixels = _pixels(item.svg)
                self._writer.add_image(item.tag, pixels, points.step, points.seconds, dataformats="HWC")
            else:
                self._write_trial(item, points)
        self._writer.flush()

    def _write_trial(self, trial: Trial, points: Points) -> None:
        """A folder for each: so the plugin tells sessions apart."""
        from tensorboardX.summary import hparams

        with self._writer_of(self._place / _TRIALS / trial.name) as writer:
            for summary in hparams(dict(trial.hyperparameters), dict(trial.metrics)):
                writer.file_writer.add_summary(summary)
            for name, value in trial.metrics.items():
                writer.add_scalar(name, value, points.step, points.seconds)

    def __enter__(self) -> EventFiles:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()


def _writers() -> Any:
    """Makes a writer for a folder.

    Raises:
      UserError: `tensorboardX` is missing.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "munet tensorboard needs tensorboardX: pip install -e '.[tensorboard]' in munet's folder (the extra "
            "`tensorboard`, which brings the viewer, too)."
        ) from error
    return lambda place: SummaryWriter(str(place), filename_suffix=_SUFFIX)


def _pixels(text: str) -> Any:
    """The picture as an array of bytes."""
    import numpy as np
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png.from_svg(text))).convert("RGB"))
