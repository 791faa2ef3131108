"""Which devices the children of each stream get, and in which dispatch each of them runs.

The streams of a generation share the devices so that all have about as much to do: a stream gets slots in proportion to
what its children cost, the costly ones first, each where least is placed so far. Within a stream its groups share its
slots (`_share_slots`); within a group, children are spread over its slots and, on each, stacked. Where there are fewer
children than devices, those that would stand idle share the batches of the others, if that pays (`_over_idle`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from munet.training.placement import fitting
from munet.training.placement.chunks import Chunk
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.fitting import Spread
from munet.training.placement.grouping import Group, step_seconds
from munet.training.placement.waves import Reserved, in_waves
from munet.training.program.sharding import AXES
from munet.training.program.signature import Signature

_Slot = tuple[jax.Device, ...]


@dataclass(frozen=True)
class StreamGroups:
    """The groups of one stream, and what its images take."""

    groups: Sequence[Group]
    reserved: Reserved


@dataclass(frozen=True)
class _Wish:
    """What one stream asks for: room for its children on some of the slots that fit them."""

    groups: Sequence[Group]
    spread: Spread
    slots: Sequence[_Slot]  # all that there are
    seconds: float  # of a train step of all its children, one after the other
    least_parts: int
    room: int | None

    @property
    def programs(self) -> tuple[Signature, ...]:
        """Of all its groups."""
        return tuple(group.signature for group in self.groups)

    @property
    def num_children(self) -> int:
        """Of all its groups."""
        return sum(len(group.members) for group in self.groups)

    @property
    def most_slots(self) -> int:
        """More than these would be of no use, or do not exist."""
        return min(self.num_children, len(self.slots))

    def fair_slots(self, devices_a_second: float) -> int:
        """As many as hold its share of all devices; one at least."""
        share = devices_a_second * self.seconds / self.spread.size
        return max(1, min(math.ceil(share - 1e-6), self.most_slots))  # floats: a half of eight must be four

    def lasts(self, num_slots: int) -> float:
        """Seconds of a step of all its children on so many slots."""
        return self.seconds * math.ceil(self.num_children / num_slots) / self.num_children / self.spread.size


def place(groups: Sequence[Group], layout: DeviceLayout, reserved: int = 0) -> list[Chunk]:
    """Places the groups of one stream: `place_streams`.

    Args:
      groups: of one stream of batches.
      layout: the devices.
      reserved: bytes of each device that batches and images take.
    """
    return place_streams([StreamGroups(groups, Reserved(reserved))], layout)


def place_streams(streams: Sequence[StreamGroups], layout: DeviceLayout) -> list[Chunk]:
    """Assigns every group its devices and cuts it into chunks, in the order in which they are to train.

    Args:
      streams: that may train side by side.
      layout: the devices.

    Raises:
      UserError: a child does not fit, however it is spread.
    """
    wishes = _over_idle([_wish(stream, streams, layout) for stream in streams], streams, layout)
    chunks = [
        replace(chunk, stream=index)
        for index, (wish, slots) in enumerate(zip(wishes, _share_devices(wishes, layout), strict=True))
        for chunk in _chunks(wish, slots, layout)
    ]
    return in_waves(chunks, [stream.reserved for stream in streams], layout.memory)


def _over_idle(wishes: list[_Wish], streams: Sequence[StreamGroups], layout: DeviceLayout) -> list[_Wish]:
    """The wishes with batches spread over devices that would have no child: the last stage of a race has one child.

    Each device must still have enough to do in a step: what it takes to sum gradients up over devices is saved first.
    """
    count = len(layout.devices)
    if layout.mesh or not wishes:
        return wishes
    for times in range(count // sum(wish.num_children * wish.spread.size for wish in wishes), 1, -1):
        wider = [fitting.over_more(wish.programs, wish.spread, times) for wish in wishes]
        enough = all(
            step_seconds(program, layout.cost_model) >= layout.cost_model.least_seconds * wish.spread.size * times
            for wish in wishes
            for program in wish.programs
        )
        if enough and all(spread is not None and count % spread.size == 0 for spread in wider):
            return [_wish(stream, streams, layout, spread) for stream, spread in zip(streams, wider, strict=True)]
    return wishes


def _wish(
    stream: StreamGroups, streams: Sequence[StreamGroups], layout: DeviceLayout, wanted: Spread | None = None
) -> _Wish:
    """What a stream asks for, beside all others; `wanted`: how its children are to be spread, None: as they fit."""
    reserved = stream.reserved.total
    room = None if layout.memory is None else layout.memory - reserved
    programs = {group.signature: None for group in stream.groups}
    if layout.mesh:
        wanted = Spread(*layout.mesh[1:])
    least_parts = layout.least_parts(stream.groups, [group for one in streams for group in one.groups])
    spread = fitting.choose_spread(programs, len(layout.devices), room, mesh=wanted, least_parts=least_parts)
    if spread is None:
        assert layout.memory is not None  # without a limit the first choice fits
        raise fitting.too_large(programs, wanted, len(layout.devices), layout.memory, reserved)
    slots = [tuple(layout.devices[at : at + spread.size]) for at in range(0, len(layout.devices), spread.size)]
    seconds = sum(step_seconds(group.signature, layout.cost_model) * len(group.members) for group in stream.groups)
    return _Wish(stream.groups, spread, slots, seconds, least_parts, room)


def _share_devices(wishes: Sequence[_Wish], layout: DeviceLayout) -> list[list[_Slot]]:
    """The slots of each stream: one for each child where there are enough, else by what its children cost."""
    count, total = len(layout.devices), sum(wish.seconds for wish in wishes)
    has_enough = sum(wish.num_children * wish.spread.size for wish in wishes) <= count
    widths = [wish.most_slots if has_enough else wish.fair_slots(count / total) for wish in wishes]
    lasts = [wish.lasts(width) for wish, width in zip(wishes, widths, strict=True)]
    busy = dict.fromkeys(layout.devices, 0.0)
    shares: list[list[_Slot]] = [[] for _ in wishes]
    for index in sorted(range(len(wishes)), key=lambda index: -lasts[index]):
        slots = wishes[index].slots
        freest = sorted(range(len(slots)), key=lambda at: max(busy[device] for device in slots[at]))
        shares[index] = [slots[at] for at in sorted(freest[: widths[index]])]
        for device in chain.from_iterable(shares[index]):
            busy[device] += lasts[index]
    return shares


def _chunks(wish: _Wish, slots: Sequence[_Slot], layout: DeviceLayout) -> list[Chunk]:
    """The groups of a stream on its slots."""
    spread, chunks = wish.spread, []
    for group, own in zip(wish.groups, _share_slots([len(g.members) for g in wish.groups], slots), strict=True):
        own_spread = fitting.on_mesh(group.signature, replace(spread, parts=1), wish.room, wish.least_parts)
        stacked = min(layout.children_per_device, fitting.num_fitting(group.signature, own_spread, wish.room))
        for start in range(0, len(group.members), len(own) * stacked):
            members = group.members[start : start + len(own) * stacked]
            used = own[: min(len(own), len(members))]
            mesh = Mesh(np.array(used).reshape(len(used), spread.data, spread.model), AXES)
            size = -(-len(members) // len(used)) * len(used)
            chunks.append(Chunk(group, members, mesh, size, parts=own_spread.parts))
    return chunks


_Item = TypeVar("_Item")


def _share_slots(sizes: Sequence[int], slots: Sequence[_Item]) -> list[tuple[_Item, ...]]:
    """Disjoint runs of slots in proportion to group sizes; groups share slots when there are too few."""
    total, count = sum(sizes), len(slots)
    if count >= total:
        starts = np.cumsum([0, *sizes])
        return [tuple(slots[a:b]) for a, b in pairwise(starts)]
    if count < len(sizes):
        return [(slots[index % count],) for index in range(len(sizes))]
    shares = [1] * len(sizes)
    while sum(shares) < count:  # the next slot goes where most children wait for each one
        shares[max(range(len(sizes)), key=lambda index: sizes[index] / shares[index])] += 1
    starts = np.cumsum([0, *shares])
    return [tuple(slots[a:b]) for a, b in pairwise(starts)]
