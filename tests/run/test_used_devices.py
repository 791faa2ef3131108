"""What `munet devices` and a dry run say of devices at work, on eight simulated ones, against real placement."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from munet.config.flags import parse_config
from munet.run import used_devices
from munet.run.used_devices import StageUse
from munet.training.placement.devices import DeviceLayout

ROOT = Path(__file__).parents[2]
# Every generation of a rehearsed run, placed: how many devices each of them really has children on.
PLACED = """
import json, sys
from munet.config.flags import parse_config, split_overrides
from munet.report import devices
from munet.run import estimates, rehearsal
from munet.training.placement.devices import DeviceLayout
from munet.training.placement.placing import StreamGroups, place_streams
from munet.training.placement.waves import Reserved
from munet.training.work import TaskWork

config = parse_config("demo", split_overrides(sys.argv[1:])[1])
layout = DeviceLayout.detect(config.runtime)
info, known, placed = estimates.guessed("", config.experiment), set(), []
for plan in rehearsal.plans(config.experiment, [info]):
    work = TaskWork.of(config.experiment, info, plan.position.generation)
    streams = [StreamGroups(groups, Reserved()) for groups in estimates.stream_groups(plan, work, known, layout)]
    chunks = place_streams(streams, layout)
    placed.append([len(plan.children), len({device for chunk in chunks for device in chunk.mesh.devices.flat})])
print(json.dumps({"told": devices.found(config), "placed": placed}))
"""


def on_eight(*overrides: str) -> dict[str, Any]:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    environment["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
    command = [sys.executable, "-c", PLACED, *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("num_devices", [8, 4])
def test_it_tells_the_truth_of_eight_devices(num_devices: int) -> None:
    found = on_eight("--config.compare=", f"--config.num_devices={num_devices}")
    told = found["told"]
    assert len(told["devices"]) == 8
    assert told["num_given"] == num_devices
    used = [[stage["children"], stage["used"]] for stage in told["stages"]]
    assert used == [placed for placed in found["placed"] if placed in used]  # one phase, stage by stage
    assert used == [[8, num_devices], [4, 4], [1, 1]]
    assert [stage["idle"] for stage in told["stages"]] == [0, num_devices - 4, num_devices - 1]
    text = "\n".join(told["notes"])
    assert f"{num_devices - 1} in train:1" in text
    assert f"--config.mesh=1,{num_devices},1" in text
    wider = on_eight("--config.compare=", f"--config.num_devices={num_devices}", f"--config.mesh=1,{num_devices},1")[
        "told"
    ]
    assert [stage["idle"] for stage in wider["stages"]] == [0, 0, 0]
    assert not wider["notes"]


def test_two_children_on_four_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The case of a dry run that said "Time on 4 devices" and not that two of them do nothing."""
    config = parse_config("demo", [])
    config.experiment.stages = ()
    config.experiment.children_per_generation = 2
    layout = DeviceLayout.detect(config.runtime)
    four = DeviceLayout(layout.devices * 4, 1)
    monkeypatch.setattr(used_devices, "uses", lambda *_: [StageUse("evolve:2", 2, 2, 2, 1)])
    head, *advice = used_devices.idle_notes(config, four)
    assert head == "Of 4 devices some stand idle: 2 in evolve:2. What would use them:"
    assert advice[0].startswith("  --config.children_per_generation=4 ")
    assert advice[1].startswith("  --config.mesh=2,2,1 ")
    assert advice[2].startswith("  --config.num_devices=2 ")
    assert "munet benchmark --workers" in advice[3]


def test_a_single_device_is_never_idle() -> None:
    config = parse_config("demo", [])
    assert not list(used_devices.idle_notes(config, DeviceLayout.detect(config.runtime)))


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    from munet.cli.main import main

    assert main(["devices"]) == 0
    out = capsys.readouterr().out
    assert "sees one device: a CPU with" in out
    assert "explore:8" in out
    assert "All of them are at work in every stage. On a CPU children train side by side" in out
    assert main(["devices", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_given"] == 1
    assert main(["devices", "--config.num_devices=3"]) == 2
    assert "JAX sees 1 cpu device(s)" in capsys.readouterr().err
