"""What fits a device: over how many devices a child is spread, and how many children run at once.

Decided from programs, devices and a number of bytes alone, never from what is free at the moment: a resumed run places
its children as an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from munet import architecture
from munet.errors import UserError
from munet.training.memory import child_memory, evaluation_bytes
from munet.training.signature import Signature
from munet.training.stream import EVALUATION_BATCH

_GIB = 1 << 30


@dataclass(frozen=True)
class Inner:
    """Over how many devices one child is spread: `data` share its batches, `model` its layers."""

    data: int = 1
    model: int = 1

    @property
    def size(self) -> int:
        """Devices of one child."""
        return self.data * self.model


@dataclass(frozen=True)
class Need:
    """Bytes of one child on each of its devices: what it keeps between dispatches, and what it works with in one."""

    kept: int
    at_work: int

    @property
    def total(self) -> int:
        """Both."""
        return self.kept + self.at_work


def need(program: Signature, inner: Inner) -> Need:
    """What a child of a program takes, in training or evaluation, whichever is more."""
    memory = child_memory(program, inner.data, inner.model)
    evaluation = evaluation_bytes(program, inner.data, inner.model)
    return Need(memory.kept, max(memory.total - memory.kept, evaluation))


def num_fitting(program: Signature, inner: Inner, room: int | None) -> int:
    """How many children fit on a device at once; with no limit known, any number."""
    return 1 << 16 if room is None else max(room // need(program, inner).total, 0)


def choose_inner(programs: Collection[Signature], num_devices: int, room: int | None) -> Inner | None:
    """The fewest devices on which a child of each program fits, of as many with the longest `data` axis; None: none.

    Spread over `data` alone, every device still holds all parameters; it costs least, where activations are too large.
    """
    return next(
        (
            inner
            for inner in choices(programs, num_devices)
            if all(num_fitting(program, inner, room) for program in programs)
        ),
        None,
    )


def choices(programs: Collection[Signature], num_devices: int) -> Iterator[Inner]:
    """Meshes that can spread these programs evenly, the smallest first."""
    for size in _divisors(num_devices):
        for model in _divisors(size):
            inner = Inner(size // model, model)
            if all(_is_even(program, inner) for program in programs):
                yield inner


def _is_even(program: Signature, inner: Inner) -> bool:
    mlp_dim = architecture.get_variant(program.variant).mlp_dim
    return not (program.batch_size % inner.data or EVALUATION_BATCH % inner.data or mlp_dim % inner.model)


def too_large(
    programs: Collection[Signature], inner: Inner | None, num_devices: int, memory: int, reserved: int
) -> UserError:
    """Says that a child fits nowhere: what it needs, what there is, what to change.

    Args:
      programs: of children of which one does not fit.
      inner: over what each must be spread; None: over whatever divides the devices.
      num_devices: that there are.
      memory: bytes of a device that may be used.
      reserved: of them, for batches and images.
    """
    possible = [inner] if inner else list(choices(programs, num_devices))
    most = {
        choice: max((need(program, choice).total, str(program), program) for program in programs) for choice in possible
    }
    best = min(possible, key=lambda choice: most[choice][0])
    least, _, program = most[best]
    spread = f" on each of {best.size} devices (data {best.data}, model {best.model})" if best.size > 1 else ""
    mesh = "Leave runtime.mesh empty, so that munet chooses, or lower" if inner else "Lower"
    return UserError(
        f"A child of {program.variant} with {program.num_blocks} blocks at {program.image_size} pixels, in batches of "
        f"{program.batch_size} and training from stage {program.first_trainable} up, takes {least / _GIB:.2f} GiB"
        f"{spread}, and batches and images {reserved / _GIB:.2f} GiB; a device has {memory / _GIB:.2f} GiB for munet. "
        f"{mesh} experiment.batch_size, the image sizes or num_blocks, or use more or larger devices. "
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
