"""Which children share a program, and where programs run."""

from __future__ import annotations

import dataclasses
import itertools

import jax
import pytest

from munet.config import Experiment
from munet.run import estimates, rehearsal
from munet.training.placement import devices
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.grouping import CostModel, Group, compile_seconds, group_children, step_seconds
from munet.training.placement.placing import _share_slots, place
from munet.training.program import signature
from munet.training.program.signature import Signature
from munet.training.work import TaskWork
from tests.training.children import config, random_child, work_of

MODEL = CostModel(flops_per_second=1e11, backward_factor=1.0, adapter_share=0.2, compile_seconds=2.0)
FULL = Signature("Ti/16", 3, -1, 0, 32, 512, 64)


def variant_of(**changes: object) -> Signature:
    return dataclasses.replace(FULL, **changes)  # type: ignore[arg-type]


HEAD_ONLY = variant_of(first_trainable=3)
TOP = variant_of(first_trainable=2)
WIDE = variant_of(adapter_dim=128)
LORA = variant_of(first_trainable=0, lora_rank=8, frozen=(0, 1, 2))  # low-rank updates at every block, no block trains
LORA_TOP = variant_of(first_trainable=1, lora_rank=8, frozen=(1,))  # ... from block 1 up, and block 2 trains too


def test_a_signature_reads_back() -> None:
    for item in (FULL, HEAD_ONLY, WIDE, LORA, LORA_TOP):
        assert Signature.parse(str(item)) == item


def test_what_covers_what() -> None:
    assert FULL.covers(TOP)
    assert FULL.covers(HEAD_ONLY)
    assert not TOP.covers(FULL)
    assert not HEAD_ONLY.covers(TOP)
    assert WIDE.covers(FULL)
    assert not FULL.covers(WIDE)
    shallow = variant_of(num_blocks=2, first_trainable=2)  # head only, in a shallower network
    assert HEAD_ONLY.covers(shallow)
    assert not FULL.covers(variant_of(image_size=48))


def test_what_covers_low_rank_updates() -> None:
    assert not FULL.covers(LORA)
    assert variant_of(lora_rank=8).covers(LORA)
    assert not LORA.covers(TOP)
    assert not LORA.covers(LORA_TOP)
    assert LORA.covers(HEAD_ONLY)
    assert not LORA.covers(variant_of(first_trainable=0, lora_rank=32, frozen=(0, 1, 2)))
    assert LORA.join(LORA_TOP) == variant_of(first_trainable=0, lora_rank=8, frozen=(0, 1))
    assert LORA.join(HEAD_ONLY) == LORA
    assert LORA.join(FULL) == variant_of(lora_rank=8)
    assert LORA.for_evaluation == variant_of(first_trainable=3, lora_rank=8, batch_size=0)


def test_programs_without_low_rank_updates_are_called_as_ever() -> None:
    """Journals name them, and a run that goes on finds its programs by these names."""
    assert str(FULL) == "Ti/16:b3:t-1:a0:i32:n512:h64"
    assert Signature.parse("Ti/16:b3:t-1:a0:i32:n512:h64") == FULL


def test_programs_of_older_journals_read_as_what_they_were() -> None:
    assert Signature.parse("Ti/16:b3:t1:a0:i32:n512:h64:r8:f1") == LORA_TOP
    for text in ("Ti/16:b3", "Ti/16:b3:t-1:a0:i32:n512:h64:q1"):
        with pytest.raises(ValueError, match="is no signature of a program"):
            Signature.parse(text)


def test_blocks_that_no_child_trains_get_no_gradients() -> None:
    """Wherever they lie: above what trains, below it, or between."""
    outer = variant_of(frozen=(1,))  # the first and the last block train
    inner = variant_of(frozen=(0, 2))
    assert [outer.tunes(f"encoderblock_{index}") for index in range(3)] == [True, False, True]
    assert outer.tunes("embedding")
    assert not inner.covers(outer)
    assert outer.join(inner) == FULL
    assert outer.join(TOP) == outer
    assert outer.covers(TOP)
    assert step_seconds(inner, MODEL) < step_seconds(outer, MODEL) < step_seconds(FULL, MODEL)


def test_training_low_rank_updates_costs_less_than_training_their_blocks() -> None:
    top_block_too = variant_of(first_trainable=0, lora_rank=8, frozen=(0, 1))
    assert step_seconds(LORA, MODEL) < step_seconds(top_block_too, MODEL) < step_seconds(variant_of(lora_rank=8), MODEL)
    assert step_seconds(LORA, MODEL) < step_seconds(variant_of(first_trainable=0), MODEL)


def test_a_join_is_the_least_cover() -> None:
    shallow_head = variant_of(num_blocks=2, first_trainable=2)
    assert shallow_head.join(HEAD_ONLY) == HEAD_ONLY
    assert shallow_head.join(TOP) == TOP
    assert TOP.join(WIDE) == WIDE
    for first, second in itertools.combinations([FULL, HEAD_ONLY, TOP, WIDE, LORA, LORA_TOP, shallow_head], 2):
        joined = first.join(second)
        assert joined.covers(first)
        assert joined.covers(second)


def test_the_signature_of_a_child_covers_what_it_trains() -> None:
    for seed in range(60):
        child = random_child(seed, id=1, max_blocks=3, lora=seed >= 40)
        program = signature.of_child(child, work_of(config()))
        assert all(program.tunes(plan.name) for plan in child.components if plan.trainable)
        lowest = [plan.name for plan in child.components if signature.level(plan.name, program.num_blocks)
                  == program.first_trainable]  # fmt: skip
        assert any(plan.trainable for plan in child.components if plan.name in lowest)


def test_cost_grows_with_what_trains() -> None:
    costs = [step_seconds(item, MODEL) for item in (HEAD_ONLY, TOP, FULL, WIDE)]
    assert costs == sorted(costs)
    assert costs[0] < 0.5 * costs[2]


def test_few_steps_merge_and_many_steps_split() -> None:
    children = [FULL, HEAD_ONLY, HEAD_ONLY, TOP]
    assert len(group_children(children, steps=1, known=[], model=MODEL)) == 1
    apart = group_children(children, steps=100_000, known=[], model=MODEL)
    assert {group.signature for group in apart} == {FULL, HEAD_ONLY, TOP}
    assert [group.members for group in apart] == [(0,), (1, 2), (3,)]


def test_known_programs_are_used_where_compiling_costs_more() -> None:
    groups = group_children([HEAD_ONLY, HEAD_ONLY], steps=1, known=[FULL], model=MODEL)
    assert groups == [Group(FULL, (0, 1))]
    assert group_children([FULL], steps=1, known=[HEAD_ONLY], model=MODEL) == [Group(FULL, (0,))]


def test_groups_of_one_program_are_one() -> None:
    children = [TOP, HEAD_ONLY, variant_of(first_trainable=1)]
    groups = group_children(children, steps=1, known=[FULL], model=MODEL)
    assert groups == [Group(FULL, (0, 1, 2))]


def test_a_new_program_trains_more_than_it_must_where_that_costs_little() -> None:
    """So that children of later generations find it; where steps are many, nothing is wasted."""
    adapters = variant_of(first_trainable=0, adapter_dim=32, frozen=(0, 1, 2))
    (few,) = group_children([adapters], steps=1, known=[], model=MODEL)
    (many,) = group_children([adapters], steps=100_000, known=[], model=MODEL)
    assert few.signature == variant_of(adapter_dim=32)
    assert many.signature == adapters


def test_compiling_costs_more_where_more_trains() -> None:
    costs = [compile_seconds(item, MODEL) for item in (HEAD_ONLY, TOP, FULL, WIDE)]
    assert costs == sorted(costs)
    assert costs[0] < 0.5 * costs[2]


def test_grouping_does_not_depend_on_the_order_of_known_programs() -> None:
    known = [FULL, WIDE, TOP, HEAD_ONLY]
    children = [TOP, variant_of(num_blocks=2, first_trainable=0), HEAD_ONLY]
    results = [group_children(children, steps=20, known=order, model=MODEL) for order in itertools.permutations(known)]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    ("sizes", "devices", "shares"),
    [
        ([5, 3], 8, [5, 3]),
        ([2, 1], 8, [2, 1]),
        ([6, 2], 4, [3, 1]),
        ([1, 1, 1], 2, [1, 1, 1]),
        ([8], 1, [1]),
    ],
)
def test_devices_are_shared_in_proportion(sizes: list[int], devices: int, shares: list[int]) -> None:
    fake = [object() for _ in range(devices)]
    given = _share_slots(sizes, fake)
    assert [len(share) for share in given] == shares
    if sum(shares) <= devices:
        used = [id(device) for share in given for device in share]
        assert len(used) == len(set(used))


def test_chunks_hold_every_child_once() -> None:
    groups = [Group(FULL, (0, 2, 4)), Group(HEAD_ONLY, (1, 3))]
    for per_device in (1, 2, 8):
        chunks = place(groups, DeviceLayout(tuple(jax.devices()[:1]), per_device))
        assert sorted(member for chunk in chunks for member in chunk.members) == [0, 1, 2, 3, 4]
        assert all(len(chunk.members) <= per_device for chunk in chunks)


def test_a_tpu_whose_compiler_is_slow_gets_fewer_programs() -> None:
    """By the cost model alone, over the first generations of a rehearsed run."""
    experiment = Experiment(tasks=("builtin:digits",), variant="B/16", batch_size=256)
    info = estimates.guessed("", experiment)
    made: dict[str, int] = {}
    for platform in ("tpu", "default", "cpu"):
        known: set[Signature] = set()
        for plan in itertools.islice(rehearsal.plans(experiment, [info]), 4):
            work = TaskWork.of(experiment, info, plan.position.generation)
            own = [signature.of_child(child, work) for child in plan.children]
            groups = group_children(own, steps=2000, known=known, model=devices._COST_MODELS[platform])
            known |= {group.signature for group in groups}
        made[platform] = len(known)
    assert made["tpu"] < made["default"] < made["cpu"]
