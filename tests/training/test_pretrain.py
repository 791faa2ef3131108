"""Pre-training a root: deterministic, learns, makes a file that loads, and says what it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from munet.architecture import get_variant
from munet.errors import DataError
from munet.models.checkpoints import load_augreg, save_augreg
from munet.training.pretrain import Settings, card, pretrain


def write_task(path: Path, size: int = 8) -> str:
    """Two classes, told apart by which half is bright."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = generator.integers(0, 60, (60, size, size), dtype=np.uint8)
    images[labels == 1, : size // 2] += 150
    images[labels == 0, size // 2 :] += 150
    np.savez(path, images=images, labels=labels)
    return f"npz:{path}"


def test_pretraining_learns_repeats_bit_for_bit_and_saves_a_root(tmp_path: Path) -> None:
    uris = (write_task(tmp_path / "first.npz"), write_task(tmp_path / "second.npz"))
    settings = Settings(tasks=uris, num_blocks=1, num_steps=30, batch_size=16, learning_rate=0.01, crop_area_min=1.0)
    said: list[str] = []
    result = pretrain(settings, said.append, cache_dir="off")
    assert result.num_classes == 4  # classes of different tasks are different classes
    assert set(result.accuracies) == {"first", "second"}
    assert sum(result.accuracies.values()) == pytest.approx(1, abs=0.5)  # the two tasks look the same
    assert "step 30 of 30" in said[-1]

    again = pretrain(settings, said.append, cache_dir="off")
    for name, leaves in result.components.items():
        for path, array in leaves.items():
            np.testing.assert_array_equal(array, again.components[name][path])

    save_augreg(tmp_path / "root.npz", result.components)
    loaded = load_augreg(tmp_path / "root.npz", get_variant("demo/16"), 1, 32)
    np.testing.assert_array_equal(loaded["cls"]["cls"], result.components["cls"]["cls"])
    assert "| first |" in card(settings, result, "the command")


def test_images_of_different_shapes_are_refused(tmp_path: Path) -> None:
    uris = (write_task(tmp_path / "first.npz"), write_task(tmp_path / "second.npz", size=10))
    with pytest.raises(DataError, match=r"one shape, but these are: first \(8, 8, 1\), second \(10, 10, 1\)"):
        pretrain(Settings(tasks=uris), lambda _: None, cache_dir="off")
