"""What is installed on this machine, where a test is about its absence."""

from __future__ import annotations

import pytest

from munet import accelerators


def without(accelerator: str) -> pytest.MarkDecorator:
    """Skips a test where JAX's plugin for an accelerator is installed: it may start there.

    Args:
      accelerator: "NVIDIA GPU" or "TPU".
    """
    return pytest.mark.skipif(
        not accelerators.missing_extra(accelerator), reason=f"JAX's plugin for {accelerator}s is installed"
    )
