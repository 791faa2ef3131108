"""What fits where: chunks, waves, and over how many devices a child is spread; and what is said if nothing fits."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import numpy as np
import pytest

from munet.config import Config, Runtime
from munet.errors import DeviceMemoryError, UserError
from munet.text import byte_size
from munet.training import wave
from munet.training.batches.stream import segment_size
from munet.training.placement import device_memory, fitting, out_of_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.fitting import Spread
from munet.training.placement.grouping import Group
from munet.training.placement.placing import place
from munet.training.program import programs
from munet.training.program.signature import Signature
from munet.types import ChildPlan
from tests.training.children import config, placed, random_child, train, work_of

LARGE = Signature.parse("L/16:b24:t-1:a0:i384:n256:h64")  # nearly all activations
WIDE = Signature.parse("L/16:b24:t-1:a0:i32:n8:h64")  # nearly all parameters
SMALL = Signature.parse("Ti/16:b3:t3:a0:i32:n256:h64")
GIB = 1 << 30


@dataclass(frozen=True)
class FakeDevice:
    """As much of a device as a mesh needs that nothing is put on."""

    id: int
    platform: str = "fake"
    device_kind: str = "fake"


def layout(num_devices: int, memory: int | None, per_device: int = 1 << 16, mesh: tuple[int, ...] = ()) -> DeviceLayout:
    devices: Any = tuple(FakeDevice(id) for id in range(num_devices))
    return DeviceLayout(devices, per_device, mesh, memory)


def test_large_activations_are_spread_over_data_and_large_layers_over_model() -> None:
    half = fitting.need(LARGE, Spread(2, 1)).total
    assert fitting.choose_spread([LARGE], 8, half) == Spread(2, 1)
    assert fitting.choose_spread([LARGE], 8, half - 1) != Spread(2, 1)
    both = fitting.need(LARGE, Spread(1, 2)).total
    assert half < both < fitting.need(LARGE, Spread()).total
    assert fitting.choose_spread([LARGE], 8, both) == Spread(2, 1)
    half = fitting.need(WIDE, Spread(1, 2)).total
    assert fitting.need(WIDE, Spread(8, 1)).total > half
    assert fitting.choose_spread([WIDE], 8, half) == Spread(1, 2)
    assert fitting.choose_spread([WIDE], 8, fitting.need(WIDE, Spread()).total) == Spread()
    assert fitting.choose_spread([WIDE], 1, half) is None
    assert fitting.choose_spread([LARGE, WIDE], 8, None) == Spread()


def test_the_fewest_parts_and_then_devices_are_taken_and_none_that_cannot_share_evenly() -> None:
    found: Counter[tuple[bool, bool]] = Counter()
    for seed in range(60):
        random = np.random.default_rng(seed)
        program = replace(LARGE, batch_size=int(random.integers(1, 65)), image_size=16 * int(random.integers(1, 12)))
        count, room = int(random.integers(1, 13)), int(2 ** random.uniform(30, 37))
        chosen = fitting.choose_spread([program], count, room)
        fit = [
            Spread(data, model, parts)
            for data in range(1, count + 1)
            for model in range(1, count // data + 1)
            for parts in fitting.more_parts(1, program.batch_size)
            if count % (data * model) == 0
            and not (program.batch_size % data or 256 % data or 4096 % model)
            and fitting.need(program, Spread(data, model, parts)).total <= room
        ]
        found[chosen is not None, chosen is not None and chosen.parts > 1] += 1
        if chosen is None:
            assert not fit
            continue
        assert chosen in fit
        assert chosen == min(fit, key=lambda spread: (spread.parts, spread.size, -spread.data))
    assert min(found[fits] for fits in [(False, False), (True, False), (True, True)]) > 3, found


def test_whatever_is_placed_fits_and_every_child_is_placed_once() -> None:
    """On every device, in every wave: what all chunks keep, what the one at work needs more, what is reserved."""
    placed = 0
    for seed in range(80):
        random = np.random.default_rng(seed)
        count = int(random.choice([1, 2, 4, 6, 8]))
        sizes = random.integers(1, 6, size=int(random.integers(1, 4)))
        ends = np.cumsum(sizes)
        groups = [
            Group(program, tuple(range(end - size, end)))
            for size, end, program in zip(
                sizes.tolist(), ends.tolist(), (WIDE, SMALL, replace(WIDE, adapter_dim=32)), strict=False
            )
        ]
        reserved, memory = int(random.integers(0, GIB)), int(2 ** random.uniform(31, 36))
        given = layout(count, memory, int(random.choice([1, 3, 1 << 16])))
        try:
            chunks = place(groups, given, reserved)
        except UserError:
            assert fitting.choose_spread([group.signature for group in groups], count, memory - reserved) is None
            continue
        placed += 1
        assert chunks == place(groups, given, reserved)
        assert sorted(member for chunk in chunks for member in chunk.members) == list(range(ends[-1]))
        kept: dict[Any, int] = defaultdict(int)
        work: dict[Any, int] = defaultdict(int)
        for before, chunk in zip([None, *chunks[:-1]], chunks, strict=True):
            assert len(chunk.members) <= chunk.size <= len(chunk.members) + chunk.mesh.shape["child"]
            if before and chunk.wave != before.wave:  # no sooner than it must be
                at = [(before.wave, device) for device in chunk.mesh.devices.flat]
                more = [kept[i] + chunk.need.kept + max(work[i], chunk.need.working) + reserved for i in at]
                assert max(more) > memory
            for device in chunk.mesh.devices.flat:
                kept[chunk.wave, device] += chunk.need.kept
                work[chunk.wave, device] = max(work[chunk.wave, device], chunk.need.working)
        assert all(kept[at] + work[at] + reserved <= memory for at in kept)
        assert [chunk.wave for chunk in chunks] == sorted(chunk.wave for chunk in chunks)
    assert placed > 30


def test_without_a_known_limit_children_are_placed_as_ever() -> None:
    chunks = place([Group(LARGE, tuple(range(8)))], layout(8, None))
    assert [(chunk.mesh.devices.shape, chunk.size, chunk.wave) for chunk in chunks] == [((8, 1, 1), 8, 0)]


@pytest.mark.parametrize("mesh", [(8, 1, 1), (2, 4, 1), (2, 2, 2), (1, 4, 2)])
def test_a_mesh_that_is_given_is_taken(mesh: tuple[int, ...]) -> None:
    groups = [Group(SMALL, (0, 2, 3)), Group(WIDE, (1,))]
    chunks = place(groups, layout(8, None, 1, mesh))
    assert {chunk.mesh.devices.shape[1:] for chunk in chunks} == {mesh[1:]}
    assert max(chunk.mesh.shape["child"] for chunk in chunks) == (3 if mesh[0] == 8 else 1)
    assert place(groups[:1], layout(8, None, 1, mesh))[0].mesh.shape["child"] == min(mesh[0], 3)
    if mesh[0] >= 2:  # groups have devices of their own
        assert not set(chunks[0].mesh.devices.flat) & set(chunks[-1].mesh.devices.flat)


def test_what_fits_nowhere_is_told_before_it_is_tried() -> None:
    with pytest.raises(UserError) as caught:
        place([Group(LARGE, (0,))], layout(4, 3 * GIB), reserved=GIB)
    text = str(caught.value)
    best = min(fitting.need(LARGE, spread).total for spread in fitting.choices([LARGE], 4))
    assert f"evaluated in batches of 256 images, takes {byte_size(best)} on each of 4 devices" in text
    assert "a device has 3.0 GiB" in text
    assert "Lower the image sizes or num_blocks" in text
    with pytest.raises(UserError, match=r"Lower runtime\.block_megabytes, the image sizes"):
        place([Group(LARGE, (0,))], layout(4, 3 * GIB), reserved=2 * GIB)
    with pytest.raises(UserError, match=r"Leave runtime\.mesh empty"):
        place([Group(WIDE, (0,))], layout(4, 4 * GIB, 1, (4, 1, 1)))


def test_a_mesh_must_have_as_many_devices_as_are_used() -> None:
    count = len(jax.devices())
    with pytest.raises(UserError, match=rf"is a mesh of {2 * count} devices, but {count} are used\. Give none"):
        DeviceLayout.detect(Runtime(mesh=(count, 2, 1)))
    text = fitting.mesh_problem((2, 2, 1), 8, 8)
    assert "runtime.num_devices = 4 or runtime.mesh = (4, 2, 1) or none" in text
    assert DeviceLayout.detect(Runtime(mesh=(count, 1, 1))).mesh == (count, 1, 1)


def test_the_journal_knows_what_decides_the_chunks() -> None:
    runtime = Runtime(device_memory_gb=2.5, children_per_dispatch=4)
    described = DeviceLayout.detect(runtime).describe()
    assert (described["memory"], described["mesh"], described["children_per_device"]) == (2_500_000_000, [], 4)
    plain = DeviceLayout.detect(Runtime()).describe()
    assert (plain["memory"], plain["mesh"], plain["microbatch"]) == (None, [], 0)
    assert plain["tokens_per_core"] == fitting.TOKENS_PER_CORE
    assert DeviceLayout.detect(Runtime(microbatch=32)).describe()["microbatch"] == 32


def test_a_program_passes_in_the_fewest_parts_whatever_others_need() -> None:
    """So that it is the same program whichever children it meets."""
    small = replace(LARGE, image_size=32)
    room = fitting.need(LARGE, Spread(parts=8)).total
    assert fitting.need(LARGE, Spread(parts=4)).total > room > fitting.need(small, Spread()).total
    chunks = place([Group(LARGE, (0,)), Group(small, (1,))], layout(1, room, 1))
    assert [(chunk.group.signature, chunk.parts) for chunk in chunks] == [(LARGE, 8), (small, 1)]


@pytest.mark.parametrize("memory", [None, 64 * GIB])
def test_an_uneven_batch_passes_on_the_mesh_that_is_given(memory: int | None) -> None:
    """Of a set of 333 images: each device of `data` has all of a part."""
    program = replace(SMALL, batch_size=333)
    given = replace(layout(8, memory, 1, (2, 4, 1)), microbatch=32)
    (chunk,) = place([Group(program, (0,))], given)
    assert (chunk.spread, chunk.need.total > 0) == (Spread(4, 1, 11), True)
    (whole,) = place([Group(program, (0,))], replace(given, microbatch=0))
    assert whole.spread == Spread(4, 1, 1)


@pytest.mark.parametrize(
    ("batch_size", "image_size", "cores", "parts"),
    [(512, 32, 1, 4), (512, 32, 2, 2), (512, 32, 8, 1), (64, 128, 1, 4), (347, 32, 1, 2), (16, 32, 1, 1)],
)
def test_parts_fit_the_caches_of_the_cores_that_work_on_a_child(
    batch_size: int, image_size: int, cores: int, parts: int
) -> None:
    program = Signature("Ti/16", 3, -1, 0, image_size, batch_size, 64)
    assert fitting.cached_parts(program, cores) == parts


def test_more_and_more_parts_are_tried_down_to_single_images() -> None:
    assert [list(fitting.more_parts(least, 10)) for least in (1, 3, 10, 11)] == [
        [1, 2, 4, 8, 10],
        [3, 6, 10],
        [10],
        [10],
    ]


def test_chunks_are_counted_for_the_cores_that_each_has() -> None:
    program = Signature.parse("Ti/16:b3:t-1:a0:i32:n512:h64")
    given = replace(DeviceLayout.detect(Runtime(num_devices=1)), cores=4)
    assert given.chunks_at_once == 4
    assert replace(given, memory=GIB).chunks_at_once == 1
    for sizes, parts in (((1,), 1), ((1, 1), 2), ((4,), 4), ((1, 3), 4)):
        ends = np.cumsum(sizes).tolist()
        groups = [Group(program, tuple(range(end - size, end))) for size, end in zip(sizes, ends, strict=True)]
        assert given.least_parts(groups) == parts, sizes
    assert replace(given, children_per_device=4).least_parts([Group(program, (0, 1, 2, 3))]) == 1


def similar_children(count: int) -> list[ChildPlan]:
    """Of one architecture, with optimisers of their own: one group."""
    first = random_child(1, id=1, max_blocks=1, image_size=16)
    return [
        replace(first, id=id, hyperparameters={**first.hyperparameters, "learning_rate": 0.002 * id})
        for id in range(1, count + 1)
    ]


def one_device(settings: Config) -> DeviceLayout:
    found = DeviceLayout.detect(settings.runtime)
    return replace(found, devices=found.devices[:1])


def reserved(settings: Config, source_bytes: int) -> int:
    """Bytes that batches, validation images and training images of the default task take."""
    work, (images, size) = work_of(settings), (64, 16)
    batches = device_memory.batch_bytes(settings, work.batch_size, size, work.num_validated, source_bytes)
    segment = segment_size(settings, work.batch_size, size, source_bytes) * work.batch_size
    return batches + device_memory.training_bytes(images, segment, source_bytes)


def program_of(settings: Config, children: list[ChildPlan]) -> Signature:
    """The one program that all of them run in."""
    waves = placed(settings, children, layout=one_device(settings).unlimited).waves
    (program,) = {chunk.group.signature for wave in waves for chunk in wave.chunks}
    return program


def with_room_for(num_children: int, children: list[ChildPlan]) -> Config:
    """Settings under which a device has just enough memory for so many of the children at once."""
    settings = config(cycles_per_child=2)
    settings.runtime.children_per_dispatch = 8
    room = num_children * fitting.need(program_of(settings, children), Spread()).total
    settings.runtime.device_memory_gb = (reserved(settings, 32 * 32 * 3) + room) / 1e9
    return settings


def test_children_that_do_not_fit_together_train_in_turns_and_end_the_same() -> None:
    children = similar_children(5)
    settings = with_room_for(2, children)
    waves = placed(settings, children, layout=one_device(settings)).waves
    assert [[chunk.members for chunk in wave.chunks] for wave in waves] == [[(0, 1)], [(2, 3)], [(4,)]]
    assert [wave.is_last for wave in waves] == [False, False, True]
    cycles: list[set[int]] = []
    in_turns = train(
        settings,
        children,
        on_cycle=lambda cycle, qualities, *_: cycles.append(set(qualities)),
        layout=one_device(settings),
    )
    assert cycles == [{1, 2}] * 2 + [{3, 4}] * 2 + [{5}] * 2
    settings.runtime.device_memory_gb = 0.0
    assert len(placed(settings, children, layout=one_device(settings)).waves) == 1
    expected = train(settings, children, layout=one_device(settings))
    assert in_turns.keys() == expected.keys()
    for id, child in in_turns.items():
        assert child.training == expected[id].training
        assert child.cost.program == expected[id].cost.program
        for name, arrays in child.best.items():
            for path, array in arrays.items():
                np.testing.assert_allclose(array, expected[id].best[name][path], rtol=0, atol=1e-5)


def test_a_device_that_runs_out_of_memory_is_told_with_what_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an error made up by us, as the CPU never gives one."""
    children = similar_children(2)
    settings = config()
    settings.runtime.children_per_dispatch = 8

    def exhausted(*_: object) -> Any:
        def program(*_: object) -> Any:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.\nmore")

        return program

    monkeypatch.setattr(wave, "compile_ahead", lambda *_: None)
    monkeypatch.setattr(programs, "train_program", exhausted)
    with pytest.raises(DeviceMemoryError) as caught:
        train(settings, children, layout=one_device(settings))
    text = str(caught.value)
    program = program_of(settings, children)
    estimated = 2 * fitting.need(program, Spread()).total
    for part in (
        str(program),
        byte_size(estimated),
        "--config.children_per_dispatch=1",
        "--config.mesh=CHILD,DATA,MODEL",
        "Out of memory allocating 17179869184 bytes.",
        "--config.microbatch=8",
        "the same command goes on",
    ):
        assert part in text, (part, text)
    assert "more" not in text.split("XLA says")[1].split("\n")[0].removeprefix(": RESOURCE_EXHAUSTED")


def test_other_errors_of_a_device_pass() -> None:
    chunk = place([Group(SMALL, (0,))], layout(1, None))[0]
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"), out_of_memory.explained("training", chunk):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


def test_a_tpu_that_tells_no_limit_has_that_of_its_kind() -> None:
    class Silent:
        platform = "tpu"

        def __init__(self, kind: str, stats: dict[str, int] | None = None):
            self.device_kind, self._stats = kind, stats

        def memory_stats(self) -> dict[str, int] | None:
            return self._stats

    def found(*arguments: Any) -> int | None:
        return device_memory.device_bytes(cast(jax.Device, Silent(*arguments)))

    assert found("TPU v5 lite") == 16 << 30
    assert found("TPU v5p") == 95 << 30
    assert found("TPU v6 lite") == 32 << 30
    assert found("TPU v5 lite", {"bytes_limit": 15}) == 15
    assert found("TPU9") is None
