"""Which children share a train program: a small cost model of arithmetic against compilation.

The decision depends on the children and on the programs that the journal says the run has used before, never on what
this process happens to have compiled: a killed and resumed run groups its children exactly as an undisturbed one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from munet.training.program.signature import INPUT_LEVEL, Signature, level
from munet.vit import architecture, flops

_INSERTED_CODE = 0.25  # code of an inserted layer over that of a block
_REUSE_CHANCE = 0.5  # that a program which trains more than it must saves another one later


@dataclass(frozen=True)
class CostModel:
    """Seconds, as measured on a kind of device.

    Attributes:
      flops_per_second: sustained rate of a train step's forward pass.
      backward_factor: time of an operation of the backward pass over one of the forward pass.
      adapter_share: time of an adapter besides its products over that of a block (its norm and its activations).
      lora_share: the same of a low-rank update.
      compile_seconds: what compiling the forward pass of a block costs; its backward pass costs twice that.
      generations_served: how many generations a new program is expected to serve, sharing that cost.
      least_seconds: of a train step, that each device must have to do where several share the batches of a child.
    """

    flops_per_second: float
    backward_factor: float
    adapter_share: float
    compile_seconds: float
    generations_served: float = 2.0
    lora_share: float = 0.05
    least_seconds: float = math.inf


@dataclass(frozen=True)
class Group:
    """Children, by their index in their stream, that run in one program."""

    signature: Signature
    members: tuple[int, ...]


def step_flops(signature: Signature) -> tuple[int, int]:
    """Floating-point operations of one image in a train step of the program, (forward, backward): `flops.train_step`.

    Counted over all that the program computes, also where a mask or a gate takes it away again for a child.
    """
    names = signature.names
    lowest = signature.first_trainable
    return flops.train_step(
        architecture.get_variant(signature.variant),
        names,
        {
            "image_size": signature.image_size,
            "adapter_dim": signature.adapter_dim,
            "lora_rank": signature.lora_rank,
        },
        signature.head_size,
        tuned=[name for name in names if signature.tunes(name)],
        passed=[name for name in names if level(name, signature.num_blocks) >= lowest],
    )


@functools.cache  # asked for with every pair of groups
def step_seconds(signature: Signature, model: CostModel) -> float:
    """Estimated time of one train step of one child."""
    forward, backward = map(float, step_flops(signature))
    variant = architecture.get_variant(signature.variant)
    tokens = variant.num_tokens(signature.image_size)
    # What an inserted layer costs besides its products, as a share of a block's.
    share = model.adapter_share * bool(signature.adapter_dim) + model.lora_share * bool(signature.lora_rank)
    inserted = share * 4 * tokens * variant.width * (2 * variant.width + variant.mlp_dim)
    forward += signature.num_blocks * inserted
    backward += 2 * (signature.num_blocks - max(signature.first_trainable, 0)) * inserted
    return signature.batch_size * (forward + model.backward_factor * backward) / model.flops_per_second


def compile_seconds(signature: Signature, model: CostModel) -> float:
    """Estimated time to compile the program."""
    inserted = 1.0 + _INSERTED_CODE * (bool(signature.adapter_dim) + bool(signature.lora_rank))
    passed = signature.num_blocks - max(signature.first_trainable, 0)
    return model.compile_seconds * inserted * (signature.num_blocks + 2 * passed)


def _widened(needed: Signature, steps: int, model: CostModel) -> Signature:
    """The program to compile for children that need `needed`: one that trains more, where that costs little.

    Later children will need other programs; one that trains every layer serves most of them. It is compiled instead
    where the arithmetic that it wastes, over the generations that it is expected to serve, stays below the chance to
    save a compilation.
    """
    worth = _REUSE_CHANCE * compile_seconds(needed, model)
    wider = (replace(needed, first_trainable=INPUT_LEVEL, frozen=()), replace(needed, frozen=()))
    for program in wider:
        waste = step_seconds(program, model) - step_seconds(needed, model)
        if waste * steps * model.generations_served < worth:
            return program
    return needed


def group_children(
    signatures: Sequence[Signature], *, steps: int, known: Collection[Signature], model: CostModel
) -> list[Group]:
    """Groups children so that estimated arithmetic plus compilation is small; greedy, deterministic.

    Args:
      signatures: the least signature of each child.
      steps: train steps that each child will make.
      known: programs that the run has used already; they cost no compilation.
      model: the cost model.

    Returns:
      Groups ordered by their first member; every child is in exactly one.
    """
    members: dict[Signature, list[int]] = {}
    for index, signature in enumerate(signatures):
        members.setdefault(signature, []).append(index)
    groups = list(members.items())

    @functools.cache
    def choose(needed: Signature, count: int) -> tuple[float, Signature]:
        """The cheapest program for `count` children that need `needed`: a new one, or a known one that covers it."""
        new = _widened(needed, steps * count, model)
        options = [new, *(program for program in known if program.covers(needed))]
        costs = [
            (
                step_seconds(program, model) * steps * count
                + (0 if program in known else compile_seconds(program, model) / model.generations_served),
                str(program),
                program,
            )
            for program in options
        ]
        cost, _, program = min(costs)
        return cost, program

    while len(groups) > 1:
        best: tuple[float, int, int] | None = None
        for left in range(len(groups)):
            for right in range(left + 1, len(groups)):
                (first, first_members), (second, second_members) = groups[left], groups[right]
                apart = choose(first, len(first_members))[0] + choose(second, len(second_members))[0]
                together = choose(first.join(second), len(first_members) + len(second_members))[0]
                if together < apart and (best is None or apart - together > best[0]):
                    best = (apart - together, left, right)
        if best is None:
            break
        _, left, right = best
        second, second_members = groups.pop(right)
        first, first_members = groups[left]
        groups[left] = (first.join(second), first_members + second_members)

    chosen: dict[Signature, list[int]] = {}
    for needed, indices in groups:  # several may have chosen one program
        chosen.setdefault(choose(needed, len(indices))[1], []).extend(indices)
    return sorted((Group(program, tuple(sorted(indices))) for program, indices in chosen.items()), key=_first_member)


def _first_member(group: Group) -> int:
    return group.members[0]
