"""`munet devices`: what JAX sees of this machine, how much of it a run would use, and what stands idle."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict
from typing import Any

import jax
from rich.table import Table

from munet import accelerators
from munet.config import Config
from munet.errors import UserError
from munet.run import used_devices
from munet.text import byte_size, count, plain_console
from munet.threads import num_cores
from munet.training.placement import device_memory
from munet.training.placement.devices import DeviceLayout
from munet.training.program import precision


def found(config: Config) -> dict[str, Any]:
    """All that is to be said, as JSON can hold it.

    Raises:
      UserError: no device can be used, or fewer than the settings ask for.
    """
    devices = accelerators.local_devices()
    layout = DeviceLayout.detect(config.runtime)
    memory = [device_memory.device_bytes(device) for device in devices]
    told: dict[str, Any] = {
        "jax": jax.__version__,
        "platform": devices[0].platform,
        "cores": num_cores(),
        "devices": [
            {"id": device.id, "kind": device.device_kind, "memory_bytes": size}
            for device, size in zip(devices, memory, strict=True)
        ],
        "num_given": len(layout.devices),
        "compute_dtype": precision.compute_dtype(config.experiment),
        "stages": [],
        "notes": [],
        "machine_has": accelerators.machine_has(),
    }
    try:
        told["stages"] = [asdict(use) for use in used_devices.uses(config, layout)]
        told["notes"] = list(used_devices.idle_notes(config, layout))
    except UserError as error:  # a child that fits no device
        told["notes"] = [str(error)]
    return told


def print_devices(config: Config, as_json: bool) -> None:
    """Prints it, for people or as one JSON object."""
    told = found(config)
    if as_json:
        print(json.dumps(told, indent=2))
        return
    print(_seen(told))
    left_out = len(told["devices"]) - told["num_given"]
    if left_out:
        print(f"{left_out} of them left out by --config.num_devices={told['num_given']}.")
    if told["stages"]:
        plain_console().print(_table(told))
    for note in told["notes"]:
        print(note)
    if told["stages"] and not told["notes"]:
        print("All of them are at work in every stage." + _on_cores(told))


def _seen(told: dict[str, Any]) -> str:
    """The first line: how many of which kind, with what memory."""
    devices, platform = told["devices"], told["platform"]
    if platform == "cpu" and len(devices) > 1:
        kinds = f"simulated ones of a CPU with {count(told['cores'], 'core')} that munet may use"
        flags = os.environ.get("XLA_FLAGS", "")
        return f"JAX {told['jax']} sees {count(len(devices), 'device')}: {kinds} (XLA_FLAGS={flags})."
    if platform == "cpu":
        memory = devices[0]["memory_bytes"]
        room = "" if memory is None else f" and {byte_size(memory)} of memory"
        return f"JAX {told['jax']} sees one device: a CPU with {count(told['cores'], 'core')} that munet may use{room}."
    counted = Counter((device["kind"], device["memory_bytes"]) for device in devices)
    words = ", ".join(
        f"{number} x {kind} ({'memory unknown' if memory is None else byte_size(memory) + ' each'})"
        for (kind, memory), number in counted.items()
    )
    return f"JAX {told['jax']} sees {count(len(devices), platform + ' device')} on this host: {words}."


def _table(told: dict[str, Any]) -> Table:
    title = f"A run with these settings on {count(told['num_given'], 'device')}, in {told['compute_dtype']}"
    table = Table("stage", title=title, title_justify="left")
    for column in ("children", "devices at work", "idle", "children on the busiest"):
        table.add_column(column, justify="right")
    for use in told["stages"]:
        table.add_row(use["stage"], f"{use['children']:,}", str(use["used"]), str(use["idle"] or "-"), str(use["most"]))
    return table


def _on_cores(told: dict[str, Any]) -> str:
    if told["platform"] != "cpu" or len(told["devices"]) > 1:
        return ""
    return f" On a CPU children train side by side, one on each of {count(told['cores'], 'core')}."
