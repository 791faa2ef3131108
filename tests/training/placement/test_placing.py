"""Streams share the devices evenly and the memory safely: which slots each gets, and what is in one wave."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from munet.errors import UserError
from munet.training.placement import devices, fitting, grouping
from munet.training.placement.chunks import Chunk
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.fitting import Spread
from munet.training.placement.grouping import Group
from munet.training.placement.placing import StreamGroups, place, place_streams
from munet.training.placement.waves import Reserved
from munet.training.program.signature import Signature
from tests.training.placement.test_fitting import GIB, SMALL, WIDE, layout

LARGER = replace(SMALL, image_size=64)


def stream(*groups: tuple[Signature, int], reserved: Reserved | None = None) -> StreamGroups:
    """A stream of groups of so many children."""
    ends = np.cumsum([count for _, count in groups]).tolist()
    members = [tuple(range(end - count, end)) for end, (_, count) in zip(ends, groups, strict=True)]
    return StreamGroups(
        [Group(program, own) for (program, _), own in zip(groups, members, strict=True)], reserved or Reserved()
    )


def on_devices(chunks: list[Chunk]) -> Counter[int]:
    """How many children each device has, the padding of chunks included."""
    found: Counter[int] = Counter()
    for chunk in chunks:
        found.update({device.id: chunk.size // chunk.mesh.shape["child"] for device in chunk.mesh.devices.flat})
    return found


@pytest.mark.parametrize("per_device", [1, 1 << 16])
@pytest.mark.parametrize(
    ("sizes", "most"),
    [
        ([1] * 8, 1),  # each on its own
        ([1] * 3, 1),
        ([3, 2, 1, 2], 1),
        ([1] * 16, 2),
        ([8, 8], 2),
        ([4] * 4, 2),
        ([5, 1, 1, 1, 1], 2),
        ([20, *[1] * 9], 5),  # 29 children: no less than 4
        ([1] * 11, 2),
    ],
)
def test_streams_are_spread_evenly(sizes: list[int], most: int, per_device: int) -> None:
    chunks = place_streams([stream((SMALL, size)) for size in sizes], layout(8, None, per_device))
    assert max(on_devices(chunks).values()) == most
    assert len(on_devices(chunks)) == min(sum(sizes), 8)
    for index, size in enumerate(sizes):
        own = [member for chunk in chunks if chunk.stream == index for member in chunk.members]
        assert sorted(own) == list(range(size))


def test_streams_that_cost_more_share_their_devices_with_fewer() -> None:
    """Of five streams on four devices, the two of small images share one."""
    streams = [stream((SMALL, 1)), *[stream((LARGER, 1))] * 3, stream((SMALL, 1))]
    devices = [chunk.mesh.devices.flat[0].id for chunk in place_streams(streams, layout(4, None))]
    assert devices[0] == devices[4]
    assert sorted(devices[:4]) == [0, 1, 2, 3]


def test_one_stream_is_placed_as_ever() -> None:
    """Groups have runs of the devices from the first on."""
    chunks = place([Group(SMALL, (0, 2, 3)), Group(WIDE, (1,))], layout(8, None))
    assert [[device.id for device in chunk.mesh.devices.flat] for chunk in chunks] == [[0, 1, 2], [3]]
    chunks = place([Group(SMALL, tuple(range(20)))], layout(8, None, 1))
    assert [[device.id for device in chunk.mesh.devices.flat] for chunk in chunks] == [
        [*range(8)],
        [*range(8)],
        [*range(4)],
    ]
    assert {(chunk.stream, chunk.wave) for chunk in chunks} == {(0, 0)}


def test_a_stream_whose_children_are_spread_has_slots_of_its_own_size() -> None:
    """Wide children over two devices each, small ones on one, where all together have no more than there are."""
    memory = fitting.need(WIDE, Spread(1, 2)).total
    wide, small = stream((WIDE, 2)), stream((SMALL, 3))
    chunks = place_streams([wide, small], layout(8, memory))
    assert [chunk.mesh.devices.shape for chunk in chunks] == [(2, 1, 2), (3, 1, 1)]
    assert max(on_devices(chunks).values()) == 1
    assert {chunk.wave for chunk in chunks} == {0}


@pytest.fixture
def spreading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices on which sharing a batch pays, however small."""
    model = replace(devices._COST_MODELS["default"], least_seconds=0.0)
    monkeypatch.setitem(devices._COST_MODELS, "default", model)


@pytest.mark.usefixtures("spreading")
@pytest.mark.parametrize(
    ("sizes", "data", "used"),
    [
        ([1], 8, 8),  # the last stage of a race
        ([2], 4, 8),
        ([1, 1], 4, 8),
        ([3], 2, 6),
        ([1, 2, 1], 2, 8),
        ([5], 1, 5),
        ([8], 1, 8),
        ([9], 1, 8),
    ],
)
def test_idle_devices_share_the_batches_of_the_few(sizes: list[int], data: int, used: int) -> None:
    chunks = place_streams([stream((SMALL, size)) for size in sizes], layout(8, None))
    assert {chunk.mesh.shape["data"] for chunk in chunks} == {data}
    assert len(on_devices(chunks)) == used
    assert max(on_devices(chunks).values()) == (2 if sizes == [9] else 1)


def test_a_batch_is_shared_only_where_it_is_even_and_each_device_has_enough_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = devices._COST_MODELS["default"]
    seconds = grouping.step_seconds(SMALL, model)

    def data_axis(program: Signature, least: float, mesh: tuple[int, ...] = ()) -> int:
        monkeypatch.setitem(devices._COST_MODELS, "default", replace(model, least_seconds=least))
        (chunk,) = place_streams([stream((program, 1))], replace(layout(8, None), mesh=mesh))
        return chunk.mesh.shape["data"]

    assert data_axis(SMALL, seconds / 8) == 8
    assert data_axis(SMALL, seconds / 7) == 4
    assert data_axis(SMALL, seconds) == 1
    assert data_axis(replace(SMALL, batch_size=SMALL.batch_size // 2 * 2 + 1), 0.0) == 1
    assert data_axis(replace(SMALL, batch_size=12), 0.0) == 4
    assert data_axis(SMALL, 0.0, mesh=(4, 2, 1)) == 2  # what is asked for is taken


def random_streams(random: np.random.Generator) -> list[StreamGroups]:
    """Up to six streams of up to six children, of two image sizes."""
    made = []
    for _ in range(int(random.integers(1, 7))):
        programs = [replace(p, image_size=int(random.choice([32, 64]))) for p in (SMALL, WIDE)]
        size = programs[0].image_size
        reserved = Reserved(GIB // 8, int(random.integers(0, GIB)), GIB * size // 256)
        groups = [(replace(p, image_size=size), int(random.integers(1, 4))) for p in programs]
        made.append(stream(*groups[: int(random.integers(1, 3))], reserved=reserved))
    return made


def test_whatever_is_in_a_wave_fits_and_every_child_is_placed_once() -> None:
    """Children, the batches of each stream on a device, validation images of each size, training images once."""
    placed = waves = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        streams, memory = random_streams(random), int(2 ** random.uniform(31.5, 35))
        given: DeviceLayout = layout(int(random.choice([1, 2, 8])), memory, int(random.choice([1, 1 << 16])))
        try:
            chunks = place_streams(streams, given)
        except UserError:
            continue
        placed += 1
        waves += chunks[-1].wave
        assert chunks == place_streams(streams, given)
        assert [chunk.wave for chunk in chunks] == sorted(chunk.wave for chunk in chunks)
        for index, one in enumerate(streams):
            own = [member for chunk in chunks if chunk.stream == index for member in chunk.members]
            assert sorted(own) == list(range(sum(len(group.members) for group in one.groups)))
        held: dict[Any, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            for device in chunk.mesh.devices.flat:
                held[chunk.wave, device].append(chunk)
        for (wave, _), own_chunks in held.items():
            sizes = {
                chunk.group.signature.image_size: streams[chunk.stream].reserved.validation
                for chunk in chunks
                if chunk.wave == wave
            }
            batches = {chunk.stream: streams[chunk.stream].reserved.batches for chunk in own_chunks}
            kept = sum(chunk.need.kept for chunk in own_chunks)
            working = max(chunk.need.working for chunk in own_chunks)
            assert GIB // 8 + sum(sizes.values()) + sum(batches.values()) + kept + working <= memory
    assert placed > 30
    assert waves > 30


def test_a_stream_that_waits_lets_others_pass_but_not_its_own_chunks() -> None:
    """Two large streams on the first two devices, and one of many small children that needs both devices twice."""
    room = fitting.need(SMALL, Spread())
    memory = 2 * room.kept + room.working
    streams = [stream((SMALL, 1)) for _ in range(5)]
    chunks = place_streams(streams, layout(2, memory, 1))
    assert [(chunk.stream, chunk.wave) for chunk in chunks] == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1)]
    long = [stream((SMALL, 5)), stream((SMALL, 1))]
    chunks = place_streams(long, layout(1, memory, 1))
    assert [(chunk.stream, chunk.members, chunk.wave) for chunk in chunks] == [
        (0, (0,), 0), (0, (1,), 0), (0, (2,), 1), (0, (3,), 1), (0, (4,), 2), (1, (0,), 2),
    ]  # fmt: skip


def test_chunks_of_a_stream_keep_their_order() -> None:
    """The last would fit into the first wave, and the next stream goes there."""
    wide, small = (fitting.need(program, Spread()) for program in (WIDE, SMALL))
    memory = wide.kept + small.kept + max(wide.working, small.working)
    chunks = place_streams([stream((WIDE, 2), (SMALL, 1)), stream((SMALL, 1))], layout(1, memory, 1))
    found = [(chunk.stream, chunk.members, chunk.wave) for chunk in chunks]
    assert found == [(0, (0,), 0), (1, (0,), 0), (0, (1,), 1), (0, (2,), 1)]
