#!/usr/bin/env bash
# Everything of docs/performance.md that needs a GPU, in one command on a machine that has one.
#
#   ./benchmarks/gpu.sh [RESULTS]                       # a file of JSON lines; default: gpu_benchmarks.jsonl
#   PYTHON=/path/to/python ROOT_NPZ=Ti_16.npz TFDS_DATA_DIR=DIR ./benchmarks/gpu.sh
#
# Needs this checkout and a Python ($PYTHON, else that of .venv, else `python3`) with what requirements.txt names and a
# JAX that finds the GPU (MUNET_EXTRAS=cuda ./launch/local.sh). Within two minutes it says whether the numbers are right,
# then how fast they are. Each part has a limit in minutes; one that fails, or takes longer, is noted in its line, and
# the next one starts. Takes at most an hour and a half, the compilations included.
# DEVICE=any tries the parts on whatever device there is, and PARTS="right protocol" chooses some of them.
set -euo pipefail
# shellcheck source=benchmarks/on_device.sh
source "$(dirname "${BASH_SOURCE[0]}")/on_device.sh"

on_device gpu cuda "${1:-gpu_benchmarks.jsonl}"
right_first gpu
part facts 8 device_facts.py || true
common_parts
done_with
