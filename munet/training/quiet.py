"""Keeps Orbax's and TensorStore's threads from printing what is told in one line already: that a save failed.

On a full disk they print hundreds of lines: errors of their threads, of tasks that nobody asked for their result, and
of answers that come when the event loop that waited for them is closed.
"""

from __future__ import annotations

import functools
import logging
import sys
import traceback


@functools.cache
def about_failed_saves() -> None:
    """From now on, in this process; everything else is printed as ever."""
    for name in ("asyncio", "absl"):
        logging.getLogger(name).addFilter(_is_news)
    before = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs, /) -> None:
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            before(unraisable)

    sys.unraisablehook = hook


def _is_news(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return "_SignalingThread.run() raised" not in record.getMessage()
    if "orbax-checkpoint" in str(error):  # TensorStore's own threads have no frames, but name the save
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return not any("orbax" in frame.f_code.co_filename for frame, _ in frames)
