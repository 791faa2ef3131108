"""The split of a generation's time: its arithmetic on an invented clock, and one real run."""

from __future__ import annotations

import contextlib
import math
import random
import threading
from pathlib import Path

import pytest

from benchmarks import generation
from munet.training.program import programs
from tests import tiny_run


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_an_inner_part_takes_is_not_the_outer_ones() -> None:
    clock = Clock()
    meter = generation.Meter(clock)
    with meter.generation():
        clock.now += 1
        with meter.part("train"):
            clock.now += 2
            with meter.part("transfer"):
                clock.now += 4
            clock.now += 8
        clock.now += 16
    with meter.part("journal"):  # outside of a generation
        clock.now += 32
    assert {name: seconds for name, seconds in meter.split([]).items() if seconds} == {
        "train_s": 10, "transfer_s": 4, "other_s": 17, "wall_s": 31,
    }  # fmt: skip


def test_compiling_is_taken_from_the_part_that_it_was_in() -> None:
    clock = Clock()
    meter = generation.Meter(clock)
    with meter.generation(), meter.part("train"):
        clock.now += 10
    # Tracing of an inner function inside that of the outer one; and something before the generation.
    split = meter.split([(103, 104), (102, 105), (107, 108), (50, 60)])
    assert (split["train_s"], split["compile_s"], split["wall_s"]) == (6, 4, 10)


def test_parts_add_up_to_the_wall_time_and_are_means_over_generations() -> None:
    draw, clock = random.Random(0), Clock()
    meter = generation.Meter(clock)
    compiling = []

    def work(depth: int) -> None:
        for _ in range(draw.randrange(4)):
            clock.now += draw.random()
            part = draw.choice([*generation.PARTS])
            with meter.part(part) if draw.random() < 0.8 else contextlib.nullcontext():
                start, clock.now = clock.now, clock.now + draw.random()
                if draw.random() < 0.3:
                    compiling.append((start, clock.now))
                if depth:
                    work(depth - 1)

    for _ in range(5):
        with meter.generation():
            work(3)
        clock.now += draw.random()  # between two generations
    split = meter.split(compiling)
    wall = split.pop("wall_s")
    assert wall == pytest.approx(sum(end - start for start, end in meter.generations) / 5)
    assert math.fsum(split.values()) == pytest.approx(wall)
    assert min(split.values()) >= 0
    assert split["compile_s"] > 0


def test_a_part_ends_where_it_fails_and_other_threads_count_nothing() -> None:
    clock = Clock()
    meter = generation.Meter(clock)

    def elsewhere() -> None:
        with meter.part("store"):
            clock.now += 1

    with meter.generation():
        with contextlib.suppress(KeyError), meter.part("train"):
            clock.now += 2
            raise KeyError
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    split = meter.split([])
    assert (split["train_s"], split["store_s"], split["other_s"]) == (2, 0, 1)


@pytest.mark.slow
def test_a_real_phase_is_split(tmp_path: Path) -> None:
    tiny_run.write_data(tmp_path)
    programs.train_program.cache_clear()
    found = generation.measure(tiny_run.config(tmp_path))
    for name in ("cold", "warm"):
        parts = {part: found[name][f"{part}_s"] for part in (*generation.PARTS, generation.OTHER)}
        assert math.fsum(parts.values()) == pytest.approx(found[name]["wall_s"], abs=0.001)  # rounded
        for part in ("sampling", "transfer", "augment", "train", "validate", "store", "journal"):
            assert parts[part] > 0, part
    assert found["cold"]["compilations"] > 0
    assert found["cold"]["compile_s"] > 0
    assert found["warm"]["compilations"] == 0

    assert found["generations"] == 2
    assert found["undisturbed_s"] > 0
    assert 0 <= found["idle_share"] <= 1


def test_options_are_settings() -> None:
    small = generation.parse(["--batch_size=32"]).experiment
    assert (small.tasks, small.children_per_generation, small.batch_size) == (("builtin:digits",), 4, 32)
    line = "--config=characters --task=tfds:mnist --children=2 --config.search_space.image_size=32 --seed=3"
    paper = generation.parse(line.split()).experiment
    assert (paper.tasks, paper.variant, paper.children_per_generation, paper.seed) == (("tfds:mnist",), "Ti/16", 2, 3)
    assert (paper.num_generations, paper.search_space.image_size) == (8, (32,))
