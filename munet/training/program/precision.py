"""In which precision programs compute: bfloat16 where the hardware is made for it."""

from __future__ import annotations

from munet import accelerators
from munet.config import Experiment


def compute_dtype(experiment: Experiment) -> str:
    """Float32 or bfloat16, by name: what `experiment.compute_dtype` says, or for "auto" what the devices are good at.

    A run on other devices than it began with computes in their precision; a note says that the layout has changed
    (`start.notes_on_layout`). Runs begun before there was a choice go on in float32 (`config.as_begun`).
    """
    if experiment.compute_dtype != "auto":
        return experiment.compute_dtype
    return "float32" if accelerators.local_devices()[0].platform == "cpu" else "bfloat16"
