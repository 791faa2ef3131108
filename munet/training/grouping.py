"""Which children share a train program: a small cost model of arithmetic against compilation (DESIGN section 4).

The decision depends on the children and on the programs that the journal says the run has used before, never on what
this process happens to have compiled: a killed and resumed run groups its children exactly as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from munet import architecture
from munet.training.signature import INPUT_STAGE, Signature


@dataclass(frozen=True)
class CostModel:
    """Seconds, as measured on a kind of device.

    Attributes:
      flops_per_second: sustained rate of a train step's forward pass.
      backward_factor: backward over forward time of a stage that trains.
      adapter_share: time of an adapter slot over that of a block, however narrow it is (its norm and its activations).
      lora_share: the same of a low-rank slot.
      compile_seconds: what one more train program costs.
      generations_served: how many generations a new program is expected to serve, sharing that cost.
    """

    flops_per_second: float
    backward_factor: float
    adapter_share: float
    compile_seconds: float
    generations_served: float = 4.0
    lora_share: float = 0.05


@dataclass(frozen=True)
class Group:
    """Children, by their index in the generation, that run in one program."""

    signature: Signature
    members: tuple[int, ...]


def step_seconds(signature: Signature, model: CostModel) -> float:
    """Estimated time of one train step of one child."""
    variant = architecture.get_variant(signature.variant)
    tokens, width = variant.num_tokens(signature.image_size), variant.width
    block = 2 * tokens * (4 * width * width + 2 * width * variant.mlp_dim) + 4 * tokens * tokens * width
    adapter = 4 * tokens * width * signature.adapter_dim + model.adapter_share * block if signature.adapter_dim else 0
    lora = 8 * tokens * width * signature.lora_rank + model.lora_share * block if signature.lora_rank else 0
    embedding = 2 * (tokens - 1) * variant.patch_size**2 * architecture.CHANNELS * width
    forward = embedding + signature.num_blocks * (block + adapter + lora)
    trained_blocks = signature.num_blocks - max(signature.first_trainable, 0)
    # Of a frozen block only the gradient of its input is made, half of the products.
    backward = trained_blocks * (block + adapter + lora) - signature.frozen_blocks * block / 2
    if signature.first_trainable == INPUT_STAGE:
        backward += embedding
    return signature.batch_size * (forward + model.backward_factor * backward) / model.flops_per_second


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
    compilation = model.compile_seconds / model.generations_served

    def choose(needed: Signature, count: int) -> tuple[float, Signature]:
        """The cheapest program for `count` children that need `needed`: a new one, or a known one that covers it."""
        options = [needed, *(program for program in known if program.covers(needed))]
        costs = [
            (
                step_seconds(program, model) * steps * count + (0 if program in known else compilation),
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

    chosen = [Group(choose(needed, len(indices))[1], tuple(sorted(indices))) for needed, indices in groups]
    return sorted(chosen, key=lambda group: group.members)
