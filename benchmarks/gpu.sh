#!/usr/bin/env bash
# Everything of docs/performance.md that needs a GPU, in one command on a machine that has one.
#
#   ./benchmarks/gpu.sh [RESULTS]                       # a file of JSON lines; default: gpu_benchmarks.jsonl
#   PYTHON=/path/to/python ROOT_NPZ=Ti_16.npz TFDS_DATA_DIR=DIR ./benchmarks/gpu.sh
#
# Needs this checkout and a Python ($PYTHON, else that of .venv, else `python3`) with what requirements.txt names and a
# JAX that finds the GPU (`pip install -e '.[cuda]'`). Each part has a limit in minutes; one that fails, or takes
# longer, is noted in its line, and the next one starts. Takes at most an hour and a quarter, the compilations included.
# DEVICE=any tries the parts on whatever device there is, and PARTS="idle protocol" chooses some of them.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

results="${1:-gpu_benchmarks.jsonl}"
if [[ -z "${PYTHON:-}" ]]; then
  PYTHON=python3
  [[ ! -x "$root/.venv/bin/python" ]] || PYTHON="$root/.venv/bin/python"
fi
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"

if ! device="$("$PYTHON" -c 'import jax; print(jax.devices()[0].platform)' 2>/dev/null)"; then
  echo "$PYTHON has no JAX that works: install requirements.txt and a JAX for the GPU, or set PYTHON." >&2
  exit 2
fi
if [[ "$device" != gpu && "${DEVICE:-gpu}" != any ]]; then
  echo "JAX finds no GPU, only: $device. Install '.[cuda]'; DEVICE=any tries the benchmarks all the same." >&2
  exit 2
fi

trap 'exit 130' INT # else Ctrl-C would end a part only, and the next one would start

# part NAME MINUTES SCRIPT [ARGUMENT...]: runs a benchmark, and adds {"part", "seconds", "exit", "result"} to the results.
part() {
  local name="$1" minutes="$2" output started code=0
  shift 2
  if [[ -n "${PARTS:-}" && " $PARTS " != *" $name "* ]]; then
    return
  fi
  echo "== $name: $* (at most $minutes minutes)" >&2
  output="$(mktemp)"
  started="$SECONDS"
  timeout --kill-after=20 "$((minutes * 60))" "$PYTHON" "$root/benchmarks/$1" "${@:2}" >"$output" || code=$?
  "$PYTHON" - "$name" "$((SECONDS - started))" "$code" "$output" "benchmarks/$*" >>"$results" <<'PYTHON'
import json, sys
name, seconds, code, output, command = sys.argv[1:]
lines = []
for line in open(output, encoding="utf-8"):
    try:
        lines.append(json.loads(line))
    except ValueError:
        pass  # what a library printed
result = lines[0] if len(lines) == 1 else lines or None
print(json.dumps({"part": name, "command": command, "seconds": int(seconds), "exit": int(code), "result": result}))
PYTHON
  rm -f "$output"
  [[ "$code" == 0 ]] || echo "== $name failed (exit code $code; 124: its time was up)" >&2
}

# The protocol first: it is the headline, and whatever is wrong with the machine shows in it.
protocol=(${ROOT_NPZ:+"--root=$ROOT_NPZ"} ${TFDS_DATA_DIR:+"--data_dir=$TFDS_DATA_DIR"} ${SCALE:+"--scale=$SCALE"})
part protocol 20 character_protocol.py --max_minutes=9 "${protocol[@]}"
part ti16 20 throughput.py --preset=ti16 --sweep
part idle 8 generation.py --config=characters --config.search_space.image_size=32 --task=builtin:glyphs/latin \
  --root=random --generations=3 --config.min_batches_per_cycle=50
part b16_224 10 throughput.py --preset=b16_224 --steps_only
part b16_80 10 throughput.py --preset=b16_80
echo "Results: $results" >&2
