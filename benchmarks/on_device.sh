# shellcheck shell=bash
# Sourced by gpu.sh and tpu.sh: finds a Python with a JAX for the device, and runs parts, each with a limit in minutes,
# whose results are lines of JSON.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# on_device PLATFORM EXTRA RESULTS: refuses where JAX finds no such device; DEVICE=any takes whatever there is.
on_device() {
  local platform="$1" extra="$2" device
  results="$3"
  if [[ -z "${PYTHON:-}" ]]; then
    PYTHON=python3
    [[ ! -x "$root/.venv/bin/python" ]] || PYTHON="$root/.venv/bin/python"
  fi
  export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
  if ! device="$("$PYTHON" -c 'import jax; print(jax.devices()[0].platform)' 2>/dev/null)"; then
    echo "$PYTHON has no JAX that works: install requirements.txt and a JAX for the ${platform^^}, or set PYTHON." >&2
    exit 2
  fi
  if [[ "$device" != "$platform" && "${DEVICE:-$platform}" != any ]]; then
    echo "JAX finds no ${platform^^}, only: $device. Install '.[$extra]' (MUNET_EXTRAS=$extra ./launch/local.sh);" \
      "DEVICE=any tries the benchmarks all the same." >&2
    exit 2
  fi
  trap 'exit 130' INT # else Ctrl-C would end a part only, and the next one would start
}

# part NAME MINUTES SCRIPT [ARGUMENT...]: runs a benchmark, and adds {"part", "seconds", "exit", "result"} to the results.
# Returns the exit code.
part() {
  local name="$1" minutes="$2" output started code=0
  shift 2
  if [[ -n "${PARTS:-}" && " $PARTS " != *" $name "* ]]; then
    return 0
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
  return "$code"
}

# right_first PLATFORM: whether the numbers are right, within two minutes: what is fast and wrong is of no use. Says so, and goes on.
right_first() {
  # A GPU repeats bit for bit only so, and more slowly; nothing else is run with it.
  [[ "$1" != gpu ]] || local -x XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_deterministic_ops=true"
  if ! part right 5 correctness.py; then
    echo "== THE NUMBERS OF THIS DEVICE ARE NOT RIGHT, or could not be compared; times below are of wrong programs." >&2
  fi
}

# The parts that every accelerator has.
common_parts() {
  # The protocol first: it is the headline, and whatever is wrong with the machine shows in it.
  local protocol=(${ROOT_NPZ:+"--root=$ROOT_NPZ"} ${TFDS_DATA_DIR:+"--data_dir=$TFDS_DATA_DIR"} ${SCALE:+"--scale=$SCALE"})
  part protocol 20 character_protocol.py --max_minutes=9 "${protocol[@]}" || true
  part ti16 20 throughput.py --preset=ti16 --sweep || true
  part idle 8 generation.py --config=characters --config.search_space.image_size=32 --task=builtin:glyphs/latin \
    --root=random --generations=3 --config.min_batches_per_cycle=50 || true
  part b16_224 10 throughput.py --preset=b16_224 --steps_only || true
  part b16_80 10 throughput.py --preset=b16_80 || true
}

done_with() {
  echo "Results: $results" >&2
  echo "As rows of docs/performance.md: $PYTHON -m benchmarks.rows $results" >&2
}
