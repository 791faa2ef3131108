"""`benchmarks/gpu.sh` and `tpu.sh` with a stand-in for Python: what they collect, and that a failure stops no part."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import character_protocol, correctness, generation, rows
from munet.errors import UserError

ROOT = Path(__file__).parents[2]
PARTS = ["right", "facts", "protocol", "ti16", "idle", "b16_224", "b16_80"]
STAND_IN = """#!/usr/bin/env bash
case "$1" in
  -c) echo "{platform}" ;;
  -) exec "{python}" "$@" ;;
  *correctness.py) echo '{{"right": {right}}}'; [[ {right} == true ]] ;;
  *throughput.py) [[ "$2" == --preset=ti16 ]] && {{ echo '{{"half'; exit 3; }}; echo '{{"preset": "'"$2"'"}}' ;;
  *) echo "a library's words"; echo '{{"of": "'"$*"'"}}' ;;
esac
"""


def run(
    folder: Path, platform: str, script: str = "gpu", right: str = "true", **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    python, results = folder / "python", folder / "results.jsonl"
    results.unlink(missing_ok=True)
    python.write_text(STAND_IN.format(platform=platform, python=sys.executable, right=right))
    python.chmod(0o755)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": str(python), **variables}
    command = [ROOT / "benchmarks" / f"{script}.sh", results]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done, [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def test_every_part_gives_a_line_and_a_failure_stops_no_other(tmp_path: Path) -> None:
    done, lines = run(tmp_path, "gpu", ROOT_NPZ="my root.npz")
    assert done.returncode == 0, done.stderr
    assert [line["part"] for line in lines] == PARTS
    by_part = {line["part"]: line for line in lines}
    assert by_part["ti16"]["exit"] == 3
    assert by_part["ti16"]["result"] is None
    assert "ti16 failed (exit code 3" in done.stderr
    assert by_part["b16_224"]["result"] == {"preset": "--preset=b16_224"}
    assert "--root=my root.npz" in str(by_part["protocol"]["result"])
    assert [line["exit"] for line in lines if line["part"] != "ti16"] == [0] * 6


def test_the_options_that_it_gives_are_the_benchmarks_own(tmp_path: Path) -> None:
    _, lines = run(tmp_path, "gpu", SCALE="0.5", TFDS_DATA_DIR="/data")
    given = {str(line["part"]): str(line["command"]).split()[1:] for line in lines}
    config = generation.parse(given["idle"])
    assert (config.experiment.variant, config.experiment.batch_size) == ("Ti/16", 512)
    assert config.experiment.search_space.image_size == (32,)
    options = character_protocol.parse(given["protocol"])
    assert (options.scale, options.data_dir, options.max_minutes) == (0.5, "/data", 9)


def test_parts_can_be_chosen(tmp_path: Path) -> None:
    assert [line["part"] for line in run(tmp_path, "gpu", PARTS="idle b16_80")[1]] == ["idle", "b16_80"]


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    done, lines = run(tmp_path, "cpu")
    assert (done.returncode, lines) == (2, [])
    assert "JAX finds no GPU, only: cpu" in done.stderr
    assert len(run(tmp_path, "cpu", DEVICE="any")[1]) == len(PARTS)


def test_a_tpu_has_a_part_more(tmp_path: Path) -> None:
    done, lines = run(tmp_path, "tpu", "tpu")
    assert done.returncode == 0, done.stderr
    assert [line["part"] for line in lines] == [*PARTS, "streams"]
    assert "JAX finds no TPU, only: gpu" in run(tmp_path, "gpu", "tpu")[0].stderr


def test_wrong_numbers_are_said_before_fast_ones(tmp_path: Path) -> None:
    done, lines = run(tmp_path, "gpu", right="false", PARTS="right facts")
    assert [(line["part"], line["exit"]) for line in lines] == [("right", 1), ("facts", 0)]
    assert "THE NUMBERS OF THIS DEVICE ARE NOT RIGHT" in done.stderr


def test_the_lines_become_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = {"float32": {"difference": 1e-6, "limit": 1e-3, "right": True}}
    right = {"device": "TPU v5 lite", "steps": steps, "repeat": {"right": True}, "right": True}
    ti16 = {"part": "ti16", "command": "benchmarks/throughput.py --preset=ti16", "seconds": 9, "result": None}
    lines = [
        {**ti16, "exit": 1},
        {"part": "right", "command": "benchmarks/correctness.py", "seconds": 61, "exit": 0, "result": right},
        {"part": "odd", "command": "benchmarks/odd.py", "seconds": 1, "exit": 0, "result": {"a": "x|y"}},
        {**ti16, "exit": 124},
    ]
    path = tmp_path / "tpu.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    rows.main([str(path)])
    table = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [cells[1] for cells in table] == ["right", "odd", "ti16"]
    assert {cells[0] for cells in table} == {"| TPU v5 lite"}
    assert table[0][2] == "right: steps off by float32 1.0e-06 of 0.001; a generation repeats bit for bit"
    assert table[1][2] == '{"a": "x/y"}'
    assert table[2][2] == "failed (exit code 124)"
    path.write_text("{}\n")
    with pytest.raises(UserError, match="line 1 is no result"):
        rows.main([str(path)])


def test_a_wrong_step_is_seen() -> None:
    """Of what `correctness.py` compares: a parameter that is off by a tenth of what training changed."""
    before, after = {"a": np.zeros(3)}, {"a": np.array([1.0, 0.5, 0.0])}
    assert correctness.compare((before, after), (before, after)) == 0
    assert correctness.compare((before, after), (before, {"a": after["a"] + 0.1})) == pytest.approx(0.1)
    assert correctness.compare((before, after), (before, {"a": after["a"] * np.nan})) == float("inf")


def test_the_steps_that_are_compared_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert correctness.main(["--variant=demo/16", "--num_blocks=1", "--batch_size=8", "--steps=2"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["right"]
    assert told["steps"]["float32"]["difference"] == 0  # the processor beside itself
    assert 0 < told["steps"]["bfloat16"]["difference"] < 0.05
