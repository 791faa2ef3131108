"""The log that is always written: `WORKDIR/log.jsonl`, one event a line, appended by every start of the run.

A line is `{"time": UTC, "event": "CycleEnded", ...the event's fields}`. It is for people and their scripts; nothing
of a run depends on it.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec

from munet.errors import DiskFullError, WorkdirError
from munet.progress.events import (
    Advanced,
    Event,
    GenerationEnded,
    Measured,
    RunEnded,
    RunStarted,
    TrainingEnded,
    TrainingStarted,
)
from munet.store.codec import to_json

FILE = "log.jsonl"


def _now() -> datetime:
    return datetime.now(UTC)


class JsonLines:
    """Appends every event to the log of the work directory that the first `RunStarted` or `TrainingStarted` names.

    Earlier events wait until then, so that a start that fails leaves nothing behind. Object stores cannot append:
    there each start has its own `log-TIME.jsonl`, written anew whenever a generation ends or something is measured.
    """

    def __init__(self, now: Callable[[], datetime] = _now):
        self._now = now
        self._started = now()
        self._path = ""
        self._lines: list[str] = []  # not written yet; on object stores all lines of this start

    def __call__(self, event: Event) -> None:
        """Logs the event.

        Raises:
          DiskFullError: no space is left for the line.
          WorkdirError: the work directory is gone.
        """
        if isinstance(event, Advanced):
            return  # many a second
        time = self._now().isoformat(timespec="milliseconds")
        fields: dict[str, Any] = to_json(event)
        self._lines.append(json.dumps({"time": time, "event": type(event).__name__, **fields}) + "\n")
        if isinstance(event, RunStarted | TrainingStarted) and not self._path:
            self._path = self._log_path(event.workdir)
        if not self._path:
            return
        if "://" not in self._path:
            self._append()
        elif isinstance(event, GenerationEnded | Measured | RunEnded | TrainingEnded):
            self._upload()

    def close(self) -> None:
        """Writes what is left, in case the run was interrupted."""
        if self._path and "://" in self._path:
            self._upload()

    def _log_path(self, workdir: str) -> str:
        if "://" not in workdir:
            return str(Path(workdir) / FILE)
        return f"{workdir.rstrip('/')}/log-{self._started:%Y%m%dT%H%M%S%f}.jsonl"

    def _append(self) -> None:
        try:
            with Path(self._path).open("a", encoding="utf-8") as file:
                file.write("".join(self._lines))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise WorkdirError(f"The log {self._path} cannot be written: its work directory is gone.") from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DiskFullError(f"No space is left for the log {self._path}: make room and start again.") from error
        self._lines.clear()

    def _upload(self) -> None:
        filesystem, path = fsspec.core.url_to_fs(self._path)
        filesystem.pipe_file(path, "".join(self._lines).encode())
