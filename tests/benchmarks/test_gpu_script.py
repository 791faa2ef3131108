"""`benchmarks/gpu.sh` with a stand-in for Python: what it collects, and that a part that fails stops no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import character_protocol, generation

ROOT = Path(__file__).parents[2]
PARTS = ["protocol", "ti16", "idle", "b16_224", "b16_80"]
STAND_IN = """#!/usr/bin/env bash
case "$1" in
  -c) echo "{platform}" ;;
  -) exec "{python}" "$@" ;;
  *throughput.py) [[ "$2" == --preset=ti16 ]] && {{ echo '{{"half'; exit 3; }}; echo '{{"preset": "'"$2"'"}}' ;;
  *) echo "a library's words"; echo '{{"of": "'"$*"'"}}' ;;
esac
"""


def run(
    folder: Path, platform: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    python, results = folder / "python", folder / "results.jsonl"
    python.write_text(STAND_IN.format(platform=platform, python=sys.executable))
    python.chmod(0o755)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": str(python), **variables}
    command = [ROOT / "benchmarks" / "gpu.sh", results]
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
    assert [line["exit"] for line in lines if line["part"] != "ti16"] == [0] * 4


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
