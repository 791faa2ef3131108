"""How much of the time a device did nothing, from a profiler's trace; and the sums of intervals that this takes.

Nothing but JAX is needed to read a trace. A GPU works when one of its streams does, a TPU when an operation runs, the
CPU when XLA executes a program (parts of operations run in threads that do not say so: operations alone are too few).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jax.profiler import ProfileData, ProfileOptions

Interval = tuple[float, float]  # from, to

_DEVICE, _HOST = "/device:", "/host:CPU"  # what the names of planes begin with
_LINES = ("Stream", "XLA Ops")  # of a GPU, of a TPU: the lines of a device whose events are work
_EXECUTES, _OPERATION = "ThunkExecutor::Execute", "hlo_op"  # on CPU: what an event's name begins with, or has noted


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same moments as disjoint intervals, in order."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif end > start:
            merged.append((start, end))
    return merged


def intersection(first: Sequence[Interval], second: Sequence[Interval]) -> list[Interval]:
    """The moments that are in both of two unions."""
    shared: list[Interval] = []
    left = right = 0
    while left < len(first) and right < len(second):
        start, end = max(first[left][0], second[right][0]), min(first[left][1], second[right][1])
        if end > start:
            shared.append((start, end))
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return shared


def length(intervals: Iterable[Interval]) -> float:
    """Of disjoint intervals, all together."""
    return sum(end - start for start, end in intervals)


def idle_share(windows: Iterable[Interval], devices: Sequence[Iterable[Interval]]) -> float | None:
    """Share of the time in `windows` in which a device did nothing: the mean over devices.

    Args:
      windows: the time that counts.
      devices: when each of them worked; intervals may overlap.

    Returns:
      In [0, 1]; None without any window or device.
    """
    counted = union(windows)
    if not counted or not devices:
        return None
    busy = sum(length(intersection(counted, union(device))) for device in devices)
    return 1 - busy / (length(counted) * len(devices))


def trace_options() -> ProfileOptions:
    """What `read_trace` needs to be recorded, and no calls of Python functions, which would slow the host."""
    options = ProfileOptions()
    options.python_tracer_level = 0
    return options


def read_trace(folder: Path, annotation: str) -> tuple[list[Interval], list[list[Interval]]]:
    """The windows and the work of every device in the trace below a folder, in nanoseconds.

    Args:
      folder: given to `jax.profiler.trace`.
      annotation: the name of the `jax.profiler.TraceAnnotation` around what counts.

    Raises:
      FileNotFoundError: there is no trace.
    """
    traces = sorted(folder.rglob("*.xplane.pb"))
    if not traces:
        raise FileNotFoundError(f"{folder} holds no trace (*.xplane.pb): jax.profiler.trace writes one at its end.")
    planes = list(ProfileData.from_file(str(traces[-1])).planes)
    host = [event for plane in planes if plane.name == _HOST for line in plane.lines for event in line.events]
    windows = [_interval(event) for event in host if event.name == annotation]
    devices = [_work(plane) for plane in planes if plane.name.startswith(_DEVICE)]
    if not any(devices):  # on CPU there is no such plane
        devices = [[_interval(event) for event in host if _is_execution(event)]]
    return windows, [device for device in devices if device]


def _work(plane: Any) -> list[Interval]:
    """Of one device: the first kind of line that it has, because others sum up the same work with its gaps."""
    for beginning in _LINES:
        lines = [line for line in plane.lines if line.name.startswith(beginning)]
        if lines:
            return [_interval(event) for line in lines for event in line.events]
    return []


def _is_execution(event: Any) -> bool:
    return event.name.startswith(_EXECUTES) or any(name == _OPERATION for name, _ in event.stats)


def _interval(event: Any) -> Interval:
    return event.start_ns, event.start_ns + event.duration_ns
