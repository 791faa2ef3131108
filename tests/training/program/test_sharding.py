"""A child spread over several devices is the child on one device (munet/training/program/sharding.py, memory.py)."""

from __future__ import annotations

import pytest

from munet.training.program.sharding import split_axis
from munet.training.program.signature import Signature
from munet.vit import architecture
from tests import simulated_devices
from tests.training.eight_devices import SCENARIOS

_FAST = (
    "five_steps 2x4x1",
    "memory of a head",
)


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=() if name in _FAST else pytest.mark.slow) for name in SCENARIOS]
)
def test_on_eight_devices(scenario: str) -> None:
    assert simulated_devices.printed(8, "-W", "error", "-m", "tests.training.eight_devices", scenario) == ["done"]


@pytest.mark.parametrize("model", [1, 2, 4, 8])
def test_nearly_all_parameters_are_split(model: int) -> None:
    """By name: a layer that is renamed, or a new one, must not silently have a copy on every device."""
    program = Signature.parse("L/16:b24:t-1:a32:i384:n256:h64:r8:f0")
    variant = architecture.get_variant(program.variant)
    whole, split = 0, 0
    for name in program.names:
        leaves = architecture.component_leaves(
            variant, name, image_size=384, adapter_dim=32, num_classes=64, lora_rank=8
        )
        for path, leaf in leaves.items():
            axis = split_axis(f"best/{name}/{path}", leaf.shape, model)
            assert axis is None or leaf.shape[axis] % model == 0
            whole, split = (whole + leaf.size, split) if axis is None else (whole, split + leaf.size)
            if path.endswith("kernel") and name != architecture.EMBEDDING:
                assert axis is not None, (name, path)
    assert whole / (whole + split) < 0.01


def test_an_axis_that_does_not_divide_is_not_split() -> None:
    assert split_axis("encoderblock_0/MultiHeadDotProductAttention_1/query/kernel", (192, 3, 64), 2) is None
    assert split_axis("encoderblock_0/MultiHeadDotProductAttention_1/query/kernel", (192, 3, 64), 3) == 1
    assert split_axis("masks/head", (), 2) is None
