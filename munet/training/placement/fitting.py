"""What fits a device: how children are spread over devices and their batches in time, and how many run at once.

Decided from programs, devices and a number of bytes alone, never from what is free at the moment: a resumed run places
its children as an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from munet.errors import UserError
from munet.text import byte_size
from munet.training.batches.stream import EVALUATION_BATCH
from munet.training.placement.device_memory import child_memory, evaluation_bytes
from munet.training.program.accumulation import part_size
from munet.training.program.signature import Signature
from munet.vit import architecture

# Tokens (patches and class tokens of all images of a part) that a core works on at a time: measured, see
# docs/performance.md. Fewer make the products slower, more fall out of the caches of a core.
TOKENS_PER_CORE = 800


@dataclass(frozen=True)
class Spread:
    """How one child is spread: over `data` devices that share its batches, `model` that share its layers, and in time.

    `parts` of each batch pass one after the other (accumulation.py), each over all of the devices.
    """

    data: int = 1
    model: int = 1
    parts: int = 1

    @property
    def size(self) -> int:
        """Devices of one child."""
        return self.data * self.model


@dataclass(frozen=True)
class Need:
    """Bytes of one child on each of its devices: what it keeps between dispatches, and what it works with in one."""

    kept: int
    working: int

    @property
    def total(self) -> int:
        """Bytes that a child keeps and works with together."""
        return self.kept + self.working


def need(program: Signature, spread: Spread) -> Need:
    """What a child of a program takes, in training or evaluation, whichever is more."""
    memory = child_memory(program, spread.data, spread.model, spread.parts)
    evaluation = evaluation_bytes(program, spread.data, spread.model)
    return Need(memory.kept, max(memory.total - memory.kept, evaluation))


def num_fitting(program: Signature, spread: Spread, room: int | None) -> int:
    """How many children fit on a device at once; with no limit known, any number."""
    return 1 << 16 if room is None else max(room // need(program, spread).total, 0)


def choose_spread(
    programs: Collection[Signature],
    num_devices: int,
    room: int | None,
    *,
    mesh: Spread | None = None,
    least_parts: int = 1,
) -> Spread | None:
    """How a child of each program fits: with whole batches on the fewest devices, then in more and more parts.

    Of as many devices the longest `data` axis is taken: spread over `data` alone, every device still holds all
    parameters, but it costs least, where activations are too large. Parts come last, because devices that share a batch
    are faster than one that takes it in parts.

    Args:
      programs: of children that see the same batches.
      num_devices: that there are.
      room: bytes of each for children; None: no limit.
      mesh: the only devices of a child that may be taken; None: any that divide `num_devices`.
      least_parts: no fewer parts than these.

    Returns:
      None if a child fits nowhere.
    """
    return next(
        (
            spread
            for spread in choices(programs, num_devices, mesh=mesh, least_parts=least_parts)
            if all(num_fitting(program, spread, room) for program in programs)
        ),
        None,
    )


def on_mesh(program: Signature, mesh: Spread, room: int | None, least_parts: int = 1) -> Spread:
    """How a child that does fit on these devices does so in the fewest parts, whatever other programs need."""
    spread = choose_spread([program], mesh.size, room, mesh=mesh, least_parts=least_parts)
    assert spread is not None
    return spread


def choices(
    programs: Collection[Signature], num_devices: int, *, mesh: Spread | None = None, least_parts: int = 1
) -> Iterator[Spread]:
    """What can spread these programs evenly, in the order of `choose_spread`, whose arguments these are.

    On a `mesh` that is given it may be uneven: each of its devices then has all of a batch.
    """
    meshes = (
        [mesh]
        if mesh
        else [
            spread
            for size in _divisors(num_devices)
            for model in _divisors(size)
            for spread in [Spread(size // model, model)]
            if all(_is_even(program, spread) for program in programs)
        ]
    )
    for parts in more_parts(least_parts, max(program.batch_size for program in programs)):
        for inner in meshes:
            yield replace(inner, parts=parts)


def over_more(programs: Collection[Signature], spread: Spread, times: int) -> Spread | None:
    """The spread with `times` as many devices sharing each batch; None where they cannot share it evenly."""
    wider = replace(spread, data=spread.data * times, parts=1)
    return wider if all(_is_even(program, wider) for program in programs) else None


def _is_even(program: Signature, spread: Spread) -> bool:
    mlp_dim = architecture.get_variant(program.variant).mlp_dim
    return not (program.batch_size % spread.data or EVALUATION_BATCH % spread.data or mlp_dim % spread.model)


def too_large(
    programs: Collection[Signature], mesh: Spread | None, num_devices: int, memory: int, reserved: int
) -> UserError:
    """Says that a child fits nowhere: what it needs, what there is, what to change.

    Args:
      programs: of children of which one does not fit.
      mesh: over what each must be spread; None: over whatever divides the devices.
      num_devices: that there are.
      memory: bytes of a device that may be used.
      reserved: of them, for batches and images.
    """
    possible = list(choices(programs, num_devices, mesh=mesh))
    most = {
        choice: max((need(program, choice).total, str(program), program) for program in programs) for choice in possible
    }
    best = min(possible, key=lambda choice: most[choice][0])
    least, _, program = most[best]
    spread = f" on each of {best.size} devices (data {best.data}, model {best.model})" if best.size > 1 else ""
    first = "Leave runtime.mesh empty, so that munet chooses, or lower" if mesh else "Lower"
    at_a_time = part_size(program.batch_size, best.parts, best.data)
    in_training = child_memory(program, best.data, best.model, best.parts).total == least
    doing = (
        f"training from level {program.first_trainable} up in batches of {program.batch_size}, {at_a_time} images at a "
        "time,"
        if in_training
        else f"evaluated in batches of {EVALUATION_BATCH} images,"
    )
    # Of what batches and images take, a segment's size is the user's; half of the memory is more than they should have.
    smaller = "runtime.block_megabytes, " if 2 * reserved > memory else ""
    return UserError(
        f"A child of {program.variant} with {program.num_blocks} blocks at {program.image_size} pixels, {doing} takes "
        f"{byte_size(least)}{spread}, and batches and images {byte_size(reserved)}; a device has {byte_size(memory)} "
        f"for munet. {first} {smaller}the image sizes or num_blocks, or use more or larger devices. "
        "If there is more memory than that, say so with runtime.device_memory_gb."
    )


def mesh_problem(mesh: Sequence[int], used: int, available: int) -> str:
    """Says that a mesh has not as many devices as are used, and which would."""
    size, inner = math.prod(mesh), math.prod(mesh[1:])
    valid = []
    if size <= available:
        valid.append(f"runtime.num_devices = {size}")
    if used % inner == 0:
        valid.append(f"runtime.mesh = {(used // inner, *mesh[1:])}")
    return (
        f"runtime.mesh = {tuple(mesh)} is a mesh of {size} devices, but {used} are used. Give "
        f"{' or '.join([*valid, 'none (--config.mesh=), so that munet chooses'])}."
    )


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]


def cached_parts(program: Signature, cores: float) -> int:
    """The parts in which a batch is fastest on a CPU, if `cores` of it work on one child: a power of two."""
    tokens = architecture.get_variant(program.variant).num_tokens(program.image_size)
    return int(2 ** max(round(math.log2(program.batch_size * tokens / (TOKENS_PER_CORE * cores))), 0))


def more_parts(least: int, batch_size: int) -> Iterator[int]:
    """Numbers of parts to try: `least`, and twice as many again and again, down to single images."""
    parts = least
    while parts < batch_size:
        yield parts
        parts *= 2
    yield batch_size
