"""How idle a device was: sums of intervals, and traces of a GPU, a TPU and the CPU."""

from __future__ import annotations

import random
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.profiler import ProfileData

from benchmarks.profiling.idle import Interval, idle_share, intersection, length, read_trace, trace_options, union

# A window of 1,000 ns, and one of 500 ns after a pause. The device works 100...400, 300...600 (another stream),
# 900...1,300 (100 of it in the first window, 50 in the second) and 1,400...1,500.
HOST = """planes { name: "/host:CPU"
  event_metadata { key: 1 value { id: 1 name: "here" } } event_metadata { key: 2 value { id: 2 name: "other" } }
  lines { name: "python"
    events { metadata_id: 1 offset_ps: 0 duration_ps: 1000000 }
    events { metadata_id: 2 offset_ps: 0 duration_ps: 9000000 }
    events { metadata_id: 1 offset_ps: 1250000 duration_ps: 500000 } } }
"""
DEVICE = """planes { name: "/device:%s:%d" event_metadata { key: 1 value { id: 1 name: "work" } }
  lines { name: "%s"
    events { metadata_id: 1 offset_ps: 100000 duration_ps: 300000 }
    events { metadata_id: 1 offset_ps: 900000 duration_ps: 400000 } }
  lines { name: "%s"
    events { metadata_id: 1 offset_ps: 300000 duration_ps: 300000 }
    events { metadata_id: 1 offset_ps: 1400000 duration_ps: 100000 } }
  lines { name: "XLA Modules" events { metadata_id: 1 offset_ps: 0 duration_ps: 2000000 } } }
"""
GPU = DEVICE % ("GPU", 0, "Stream #13(Compute)", "Stream #14(MemcpyH2D)")
BUSY = 500 + 100 + 50 + 100


def write(folder: Path, text: str) -> Path:
    place = folder / "plugins" / "profile" / "today"
    place.mkdir(parents=True)
    (place / "machine.xplane.pb").write_bytes(ProfileData.text_proto_to_serialized_xspace(text))
    return folder


def test_sums_of_intervals() -> None:
    assert union([(3, 4), (0, 1), (0.5, 2), (2, 2.5), (7, 7)]) == [(0, 2.5), (3, 4)]
    assert intersection([(0, 2.5), (3, 4)], [(1, 2), (2.25, 3.5), (3.75, 9)]) == [
        (1, 2),
        (2.25, 2.5),
        (3, 3.5),
        (3.75, 4),
    ]
    assert length([(0, 2.5), (3, 4)]) == 3.5
    assert union([]) == intersection([], [(0, 1)]) == []


def test_sums_of_intervals_are_those_of_their_moments() -> None:
    draw = random.Random(0)

    def some() -> list[Interval]:
        starts = [draw.randrange(40) for _ in range(draw.randrange(8))]
        return [(start, start + draw.randrange(8)) for start in starts]

    def moments(intervals: list[Interval]) -> set[int]:
        return {moment for start, end in intervals for moment in range(int(start), int(end))}

    for _ in range(200):
        first, second = some(), some()
        assert moments(union(first)) == moments(first)
        assert length(union(first)) == len(moments(first))
        both = intersection(union(first), union(second))
        assert moments(both) == moments(first) & moments(second)
        assert length(both) == len(moments(both))


def test_idle_share_by_hand() -> None:
    assert idle_share([(0, 10)], [[(2, 4), (3, 6), (20, 30)]]) == pytest.approx(0.6)
    assert idle_share([(0, 10), (20, 30)], [[(2, 4), (20, 30)], [(0, 30)]]) == pytest.approx(0.2)
    assert idle_share([(0, 10)], [[(-5, 50)]]) == 0
    assert idle_share([(0, 10)], [[(11, 12)]]) == 1
    assert idle_share([], [[(0, 1)]]) is None
    assert idle_share([(0, 1)], []) is None


@pytest.mark.parametrize("device", [GPU, DEVICE % ("TPU", 0, "XLA Ops", "XLA Ops")])
def test_a_trace_of_an_accelerator(tmp_path: Path, device: str) -> None:
    windows, devices = read_trace(write(tmp_path, HOST + device), "here")
    assert windows == [(0, 1000), (1250, 1750)]
    assert idle_share(windows, devices) == pytest.approx(1 - BUSY / 1500)


def test_several_devices_count_alike_and_those_without_work_do_not(tmp_path: Path) -> None:
    always = 'planes { name: "/device:GPU:1" event_metadata { key: 1 value { id: 1 name: "work" } } lines { name: '
    always += '"Stream #1(Compute)" events { metadata_id: 1 offset_ps: 0 duration_ps: 9000000 } } }\n'
    windows, devices = read_trace(write(tmp_path, HOST + GPU + always + 'planes { name: "/device:GPU:2" }'), "here")
    assert idle_share(windows, devices) == pytest.approx((1 - BUSY / 1500) / 2)


def test_a_trace_of_the_cpu(tmp_path: Path) -> None:
    program = jax.jit(lambda value: jax.lax.fori_loop(0, 20, lambda _, x: jnp.tanh(x @ x), value))
    value = jnp.ones((300, 300))
    jax.block_until_ready(program(value))
    with jax.profiler.trace(tmp_path, profiler_options=trace_options()):
        with jax.profiler.TraceAnnotation("working"):
            jax.block_until_ready(program(value))
        with jax.profiler.TraceAnnotation("waiting"):
            time.sleep(0.05)
    working, waiting = (idle_share(*read_trace(tmp_path, name)) for name in ("working", "waiting"))
    assert working is not None
    assert working < 0.5
    assert waiting == 1


def test_without_a_trace_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no trace"):
        read_trace(tmp_path, "here")
