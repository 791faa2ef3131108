#!/usr/bin/env bash
# The first hour on a TPU VM: whether the numbers are right, what munet assumes of the device, how fast it is.
#
#   ./benchmarks/tpu.sh [RESULTS]                       # a file of JSON lines; default: tpu_benchmarks.jsonl
#   PYTHON=/path/to/python ROOT_NPZ=Ti_16.npz TFDS_DATA_DIR=DIR ./benchmarks/tpu.sh
#
# As gpu.sh, for a TPU (MUNET_EXTRAS=tpu ./launch/local.sh); the parts that it has more: streams side by side, which
# need several chips. docs/howto/tpu_vm.md lists what each part settles. Takes at most two hours.
set -euo pipefail
# shellcheck source=benchmarks/on_device.sh
source "$(dirname "${BASH_SOURCE[0]}")/on_device.sh"

on_device tpu tpu "${1:-tpu_benchmarks.jsonl}"
right_first tpu
part facts 10 device_facts.py || true
common_parts
part streams 10 streams.py --children=8 --variant=Ti/16 --batch_size=512 --cycles=1 || true
done_with
