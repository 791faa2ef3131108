#!/usr/bin/env bash
# On a machine with devices, whoever started it (launch/tpu_vm.sh, a pod, a Slurm job, a person at a shell): installs,
# says which devices there are, starts the run or goes on with it, and tries again until it is complete. On SIGTERM, or
# when Google's metadata server announces that the machine will be taken away, the run is saved and ends.
#
#   ./launch/on_machine.sh --config=characters --workdir=gs://my-bucket/runs/characters     # arguments of munet evolve
#   ./launch/on_machine.sh ... --dry_run                                                    # prints what it would do
#
# Exit code: 0 complete; 2 an input that cannot be used; 75 stopped by --config.max_hours, 143 by a signal or a notice
# (the same command goes on, here or on another machine); 1 failed again and again.
#
# MUNET_EXTRAS (default: what the machine has, and gcs where a gs:// is named), MUNET_RETRY_SECONDS (60, between tries),
# MUNET_MAX_FAILURES (5, of tries in a row that each lasted less than ten minutes), MUNET_NOTICE_SECONDS (5, between
# questions to the metadata server; 0: none).
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

RETRY_SECONDS="${MUNET_RETRY_SECONDS:-60}" MAX_FAILURES="${MUNET_MAX_FAILURES:-5}"
NOTICE_SECONDS="${MUNET_NOTICE_SECONDS:-5}" SHORT_TRY=600
METADATA="http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance"
MUNET="$ROOT/.venv/bin/munet"

# The extras for this machine and these arguments.
extras_here() {
  local found=()
  if compgen -G '/dev/nvidia[0-9]*' >/dev/null || [[ -e /dev/nvidiactl ]]; then
    found+=(cuda)
  elif compgen -G '/dev/accel[0-9]*' >/dev/null || compgen -G '/dev/vfio/[0-9]*' >/dev/null; then
    found+=(tpu)
  fi
  if [[ " $* ${MUNET_CACHE_DIR:-}" == *gs://* ]]; then
    found+=(gcs)
  fi
  (IFS=,; echo "${found[*]-}")
}

# Sets PYTHON where no interpreter is new enough: TPU VMs come with Ubuntu 22.04 and its Python 3.10.
need_python() {
  if [[ -n "${PYTHON:-}" ]] || find_python "$ROOT/.venv/bin/python" python3.13 python3.12 python3.11 python3 >/dev/null; then
    return 0
  fi
  echo "No Python 3.11 or newer with venv here: getting 3.12 with uv ..." >&2
  if python3 -m pip install -qq --user uv && python3 -m uv python install 3.12; then
    PYTHON="$(python3 -m uv python find 3.12)"
    export PYTHON
  fi # else prepare_environment says what is missing
}

# Prints a value of the metadata server; fails where there is none, or not within two seconds.
metadata() {
  curl -sf -m 2 -H 'Metadata-Flavor: Google' "$METADATA/$1"
}

# Waits for the notice that this machine will be taken away, and then ends this script as SIGTERM does.
watch_for_notice() {
  while sleep "$NOTICE_SECONDS"; do
    if [[ "$(metadata preempted)" == TRUE || "$(metadata maintenance-event)" == TERMINATE* ]]; then
      echo "== This machine will be taken away: saving." >&2
      kill -TERM "$$"
      return
    fi
  done
}

# Passes the first signal on to the run, which saves what is in training; the script ends when it has. A later one, as
# the system sends them to everybody when it shuts down, must not cut the saving short.
child="" watcher="" stopped=""
# shellcheck disable=SC2329  # called by `trap`
stop() {
  [[ -z "$stopped" ]] || return 0
  stopped=yes
  [[ -z "$child" ]] || kill -TERM "$child" 2>/dev/null || true
}

# Runs a command that signals can end, and gives its exit code.
interruptible() {
  local code=0
  "$@" &
  child=$!
  wait "$child" || code=$?
  while kill -0 "$child" 2>/dev/null; do # a signal ends `wait`, not the run, which is saving
    code=0
    wait "$child" || code=$?
  done
  child=""
  return "$code"
}

is_complete() {
  "$MUNET" status --workdir="$workdir" --json | grep -Eq '"complete": *true'
}

workdir="" dry_run="" arguments=() settings=()
for argument in "$@"; do
  case "$argument" in
    --dry_run) dry_run=yes ;;
    --config | --config=* | --config.*) arguments+=("$argument") settings+=("$argument") ;;
    *) arguments+=("$argument") ;;
  esac
  [[ "$argument" != --workdir=* ]] || workdir="${argument#--workdir=}"
done
if [[ -z "$workdir" ]]; then
  echo "Give --workdir=..., where it outlives the machine: gs://bucket/run, or a mounted disk." >&2
  exit 2
fi
if [[ -z "${MUNET_EXTRAS+set}" ]]; then
  MUNET_EXTRAS="$(extras_here "$@")"
fi
export MUNET_EXTRAS
if [[ -n "$dry_run" ]]; then
  printf 'install: requirements.txt%s\n' "${MUNET_EXTRAS:+, extras $MUNET_EXTRAS}"
  printf 'run: munet devices%s\n' "$(printf ' %q' "${settings[@]}")"
  printf 'run, until it is complete: munet evolve%s\n' "$(printf ' %q' "${arguments[@]}")"
  exit 0
fi

trap stop TERM INT HUP USR1
need_python
prepare_environment "$ROOT/.venv"
"$MUNET" devices "${settings[@]}" || exit $?
if [[ "$NOTICE_SECONDS" != 0 ]] && metadata preempted >/dev/null; then
  watch_for_notice &
  watcher=$!
  trap 'kill "$watcher" 2>/dev/null || true' EXIT
fi

failures=0
while [[ -z "$stopped" ]]; do
  started="$SECONDS" code=0
  interruptible "$MUNET" evolve "${arguments[@]}" || code=$?
  case "$code" in
    0)
      if is_complete; then
        echo "== Complete: $workdir" >&2
        exit 0
      fi
      echo "== Stopped by max_hours; the same command goes on." >&2
      exit 75
      ;;
    2) exit 2 ;;
    130 | 143) break ;;
  esac
  [[ -z "$stopped" ]] || break
  if ((SECONDS - started >= SHORT_TRY)); then
    failures=0
  fi
  failures=$((failures + 1))
  if ((failures >= MAX_FAILURES)); then
    echo "== Failed $failures times in a row (exit code $code), each soon after it began: given up." >&2
    exit 1
  fi
  echo "== Ended with exit code $code; again in $RETRY_SECONDS s." >&2
  interruptible sleep "$RETRY_SECONDS" || true
done
echo "== Ended by a signal; what is saved is kept, and the same command goes on." >&2
exit 143
