"""Hypermodules that are fitted to blocks: least squares, honestly counted."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks import muir_compression
from benchmarks.contenders import hypermodules
from benchmarks.muir_compression import Row


@pytest.mark.parametrize("locations", [12, 40])  # fewer and more blocks than a block has numbers
def test_one_module_makes_what_the_first_singular_vectors_make(locations: int) -> None:
    blocks = np.random.default_rng(0).normal(size=(locations, 24))
    u, s, v = np.linalg.svd(blocks, full_matrices=False)
    found = hypermodules.fit(blocks, 1, 3, seed=0, steps=2)
    np.testing.assert_allclose(found.blocks, (u[:, :3] * s[:3]) @ v[:3], atol=1e-9)
    assert found.errors[-1] == pytest.approx((s[3:] ** 2).sum())


def test_no_step_makes_the_error_larger() -> None:
    blocks = np.random.default_rng(1).normal(size=(200, 16))
    for seed in range(3):
        errors = hypermodules.fit(blocks, 12, 2, seed, steps=12).errors
        assert len(errors) == 13
        assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(errors))
        assert errors[-1] < 0.9 * errors[0]


def test_blocks_that_modules_have_made_are_found() -> None:
    generator = np.random.default_rng(2)
    modules, owner = generator.normal(size=(3, 2, 30)), np.arange(90) % 3
    blocks = np.einsum("la,lax->lx", generator.normal(size=(90, 2)), modules[owner])
    found = min((hypermodules.fit(blocks, 3, 2, seed, 20) for seed in range(8)), key=lambda one: one.errors[-1])
    np.testing.assert_allclose(found.blocks, blocks, atol=1e-8)
    assert len({*zip(owner.tolist(), found.alignment.tolist(), strict=True)}) == 3


def test_modules_that_nobody_uses_take_the_worst_blocks() -> None:
    blocks = np.concatenate([np.outer(np.arange(1, 9), [1.0, 0, 0, 0]), 9 * np.eye(4)[1:3]])
    found = hypermodules.fit(blocks, 3, 1, seed=0, steps=6)
    np.testing.assert_allclose(found.blocks, blocks, atol=1e-9)


def test_numbers_by_hand() -> None:
    """Blocks of 2 x 3, contexts of 1: a module that four blocks use, and one that one uses, which is that block."""
    assert hypermodules.numbers([7, 7, 7, 7, 2], 1, (2, 3)) == (6 + 4) + 6 + 5
    budget = hypermodules.numbers([0] * 8 + [1] * 8, 4, (16, 16))
    assert budget == 2 * 4 * 256 + 16 * 4 + 16
    assert hypermodules.affordable(budget, 16, 4, (16, 16)) == 2
    assert hypermodules.affordable(budget - 1, 16, 4, (16, 16)) == 1


def test_the_table_pairs_forms_by_run(tmp_path: Path) -> None:
    def row(system: int, contender: str, rank: int, size: int, correct: int) -> Row:
        return Row(system, contender, rank, 0, size, 0, 0.5, "digits", correct, 100)

    rows = [
        one
        for system, lost in enumerate((0, 10))
        for one in (
            row(system, "whole", 0, 1000, 90 - lost), row(system, "low_rank", 4, 100, 80 - lost),
            row(system, "weights", 4, 99, 75 - lost),
        )
    ]  # fmt: skip
    muir_compression.write(tmp_path, rows)
    assert muir_compression.read(tmp_path) == rows
    *_, last = muir_compression.table(rows).splitlines()
    assert "| 99 | 9.9% | 0.500 | 70.00 | -15.00 (-15.00 to -15.00) | -5.00 (-5.00 to -5.00) |" in last
