#!/usr/bin/env bash
# A run on a Cloud TPU VM of one host (v2 to v6e), which may be a spot machine: when it is taken away a new one goes on.
#
#   ./launch/tpu_vm.sh up     asks for the machine and waits until it is there; costs from then on
#   ./launch/tpu_vm.sh run    up if need be, installs, starts the run, shows its log; makes a new machine after each
#                             preemption; at the end deletes it (WHEN_DONE=delete)
#   ./launch/tpu_vm.sh logs   the log of the run, from now on
#   ./launch/tpu_vm.sh status what is alive in the zone, and how the run is doing
#   ./launch/tpu_vm.sh stop   saves and ends the run; the machine stays, and costs
#   ./launch/tpu_vm.sh down   deletes the machine
#
# --settings=FILE (default: launch/tpu_vm.settings; launch/tpu_vm.settings.example says what is in it)
# --dry_run       prints every command instead of running it
#
# Needs gcloud, logged in. Google gives this API fixes only, and TPU7x is not served by it: launch/on_machine.sh, which
# does the work on the machine, is what Compute Engine, GKE (launch/gke/) or a person at a shell start there. `run` must
# stay alive to make new machines (in tmux, on a small VM or Cloud Shell); killed and started again it goes on.
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=launch/tpu_settings.sh
source "$ROOT/launch/tpu_settings.sh"

POLL_SECONDS="${MUNET_POLL_SECONDS:-30}" TRIES=4
MAX_FAILED=5         # requests in a row that fail before there is a machine
MAX_UNKNOWN=10       # answers in a row that do not come while there is none
MAX_LOG_BYTES=200000 # of the log, each time

# In a dry run nothing has happened that could be told.
say() { [[ -n "$dry_run" ]] || echo "== $*" >&2; }

# In a dry run a remark between the commands.
remark() { [[ -z "$dry_run" ]] || echo "# $*"; }

# gc ARGUMENT...: `gcloud compute tpus ARGUMENT...` for this project and zone.
gc() {
  local call=(gcloud compute tpus "$@" "--project=$PROJECT" "--zone=$ZONE" --quiet)
  if [[ -n "$dry_run" ]]; then
    printf '%s\n' "$(printf '%q ' "${call[@]}")" | sed 's/ $//'
  else
    "${call[@]}"
  fi
}

# gc_again ARGUMENT...: the same, tried again when it fails: networks do, and every command here may be given twice.
gc_again() {
  local try
  for ((try = 1; try <= TRIES; try++)); do
    if gc "$@"; then
      return 0
    fi
    ((try == TRIES)) || sleep "$POLL_SECONDS"
  done
  say "gcloud compute tpus $1 $2 failed $TRIES times; its lines above say why."
  return 1
}

# on_machine COMMAND: runs it in the home directory of the machine.
on_machine() {
  # shellcheck disable=SC2153  # read_settings sets it
  gc tpu-vm ssh "$NAME" --worker=0 "--command=$1"
}

# Prints the state of the request: MISSING, a state of Google's, or UNKNOWN where nobody tells.
state() {
  local found errors try
  if [[ -n "$dry_run" ]]; then
    gc queued-resources describe "$NAME" '--format=value(state.state)' >&3
    echo "${dry_state:-ACTIVE}"
    return
  fi
  errors="$(mktemp)"
  for ((try = 1; try <= TRIES; try++)); do
    if found="$(gc queued-resources describe "$NAME" '--format=value(state.state)' 2>"$errors")" && [[ -n "$found" ]]; then
      break
    fi
    found=UNKNOWN
    if grep -q 'NOT_FOUND\|queuedResources/[^ ]* was not found' "$errors"; then
      found=MISSING
      break
    fi
    cat "$errors" >&2
    sleep "$POLL_SECONDS"
  done
  rm -f "$errors"
  echo "$found"
}

create() {
  local options=("--node-id=$NAME" "--accelerator-type=$ACCELERATOR" "--runtime-version=$RUNTIME")
  [[ "$SPOT" != yes ]] || options+=(--spot)
  [[ -z "$VALID_FOR" ]] || options+=("--valid-until-duration=$VALID_FOR")
  [[ -z "$SERVICE_ACCOUNT" ]] || options+=("--service-account=$SERVICE_ACCOUNT")
  [[ -z "$NETWORK" ]] || options+=("--network=$NETWORK")
  [[ -z "$SUBNETWORK" ]] || options+=("--subnetwork=$SUBNETWORK")
  # The machine's own rights: buckets are read and written with its service account.
  options+=(--scopes=https://www.googleapis.com/auth/cloud-platform)
  gc queued-resources create "$NAME" "${options[@]}"
}

delete() {
  # A missing one is what is wanted, and an answer may be lost: what counts is that it is gone.
  gc queued-resources delete "$NAME" --force || true
}

# Whether the list of machines, asked for apart from the request, does not have this one; in doubt it has.
no_machine_left() {
  local names
  names="$(gc tpu-vm list '--format=value(name)')" || return 1
  if [[ -n "$dry_run" ]]; then
    echo "$names"
  elif grep -Eq "(^|/)$NAME\$" <<<"$names"; then
    gc tpu-vm delete "$NAME" || true
    return 1
  fi
}

# Deletes the request with its machine, and makes sure of it.
down() {
  local try
  for ((try = 1; try <= 2 * TRIES; try++)); do
    dry_state=MISSING
    if [[ -n "$dry_run" ]]; then
      delete
    fi
    case "$(state)" in
      MISSING)
        if no_machine_left; then
          say "$NAME is gone: nothing costs any more."
          return 0
        fi
        ;;
      UNKNOWN) ;;
      *) delete ;;
    esac
    sleep "$POLL_SECONDS"
  done
  say "$NAME may still be there, AND COST. Look: gcloud compute tpus queued-resources list --project=$PROJECT --zone=$ZONE"
  return 1
}

# Waits until the machine is there; asks for one if there is none, and again where it was taken away or refused.
up() {
  local now before="" failed=0 unknown=0
  dry_state=MISSING
  say "$(price_class)"
  remark "ask for the machine where there is none, and wait until it is ACTIVE; SUSPENDED or FAILED: delete, and again"
  while true; do
    now="$(state)"
    [[ "$now" == "$before" ]] || say "$NAME: $now"
    before="$now"
    if [[ "$now" == UNKNOWN ]]; then unknown=$((unknown + 1)); else unknown=0; fi
    case "$now" in
      ACTIVE) break ;;
      MISSING)
        if ! create; then
          failed=$((failed + 1))
        fi
        dry_state=ACTIVE
        ;;
      FAILED)
        failed=$((failed + 1))
        gc queued-resources describe "$NAME" >&2 || true # says why
        delete
        ;;
      SUSPENDED) delete ;;
      *) ;; # waiting, being made or taken away, or nobody tells
    esac
    if ((failed >= MAX_FAILED)); then
      say "The request failed $failed times, without a machine: quota, zone, kind? The lines above say why."
      return 1
    fi
    if ((unknown >= MAX_UNKNOWN)); then
      say "Google does not answer (logged in? gcloud auth login); the lines above say why."
      return 1
    fi
    if past_deadline; then
      say "No machine within HOURS=$HOURS."
      return 75
    fi
    [[ -n "$dry_run" ]] || sleep "$POLL_SECONDS"
  done
  say "$NAME is there, and costs until: $(again down)"
}

# Puts the code on the machine, and starts the run in a tmux session that outlives this connection.
start() {
  local inner archive arguments
  remark "put the code there"
  if [[ -n "$REPOSITORY" ]]; then
    gc_again tpu-vm ssh "$NAME" --worker=0 "--command=$(fetch_code)" || return 1
  else
    [[ -z "$(git -C "$ROOT" status --porcelain 2>/dev/null)" ]] || say "What is not committed here does not travel."
    archive="$(mktemp -d)/munet.tar.gz"
    git -C "$ROOT" archive --format=tar.gz --output="$archive" "${REVISION:-HEAD}"
    gc_again tpu-vm scp "$([[ -n "$dry_run" ]] && echo munet.tar.gz || echo "$archive")" "$NAME:munet.tar.gz" --worker=0 ||
      return 1
    rm -r "$(dirname "$archive")"
    gc_again tpu-vm ssh "$NAME" --worker=0 "--command=mkdir -p munet && tar -xzf munet.tar.gz -C munet" || return 1
  fi
  split_words "$ARGUMENTS"
  arguments="$(printf ' %q' "--workdir=$WORKDIR" "${words[@]}")"
  inner="MUNET_EXTRAS=tpu,gcs${CACHE_DIR:+ MUNET_CACHE_DIR=$(printf %q "$CACHE_DIR")} ./munet/launch/on_machine.sh$arguments"
  inner="$inner >>munet.log 2>&1 & echo \$! >munet.pid; wait \$!; echo \$? >munet.exit"
  # Given twice it starts nothing twice: the session has a name.
  remark "start the run"
  gc_again tpu-vm ssh "$NAME" --worker=0 "--command=command -v tmux >/dev/null || sudo apt-get install -y -q tmux
rm -f munet.exit munet.stopped; tmux has-session -t munet 2>/dev/null || tmux new-session -d -s munet $(printf %q "$inner")"
}

# What the machine does to get or update the code.
fetch_code() {
  local repository revision
  repository="$(printf %q "$REPOSITORY")" revision="$(printf %q "${REVISION:-HEAD}")"
  echo "[ -d munet/.git ] || { rm -rf munet; git clone -q $repository munet; }; cd munet && git fetch -q origin && git checkout -q $revision"
}

# Prints the log from byte $1 on, and how the run is doing in the last line: running, none, stopped CODE, exit CODE.
report() {
  on_machine "tail -c +$(($1 + 1)) munet.log 2>/dev/null | head -c $MAX_LOG_BYTES
now=none; if [ -e munet.exit ]; then now=\"exit \$(cat munet.exit)\"; [ ! -e munet.stopped ] || now=\"stopped \$(cat munet.exit)\"
elif tmux has-session -t munet 2>/dev/null; then now=running; fi; printf '\n@munet %s' \"\$now\""
}

# watch_run [OLD]: shows the log until the run ends. Returns: its exit code; 200: the machine is gone, or has to start
# it (again). With OLD, what ended before this script began does not count: it was started to go on.
watch_run() {
  local told now text offset=0 ended=0 is_old="$1"
  while true; do
    if past_deadline; then
      say "HOURS=$HOURS have passed: saving."
      stop || true
      return 75
    fi
    if told="$(report "$offset")" && [[ "$told" == *$'\n@munet '* ]]; then
      now="${told##*$'\n@munet '}"
      text="${told%$'\n@munet '*}"
      if [[ -n "$is_old" && "$now" != running ]]; then
        return 200
      fi
      is_old=""
      if [[ -n "$text" ]]; then
        printf '%s' "$text" | tee -a "$NAME.log"
        offset=$((offset + $(printf '%s' "$text" | wc -c)))
        [[ $now == running ]] || continue # the end of the log first
      fi
      case "$now" in
        running) ;;
        none) return 200 ;;
        "stopped "*) return 143 ;;
        "exit 143" | "exit 130") # a notice: the machine is about to go, or has come back
          ended=$((ended + 1))
          ((ended < 3)) || return 200
          ;;
        "exit "*) return "${now#exit }" ;;
      esac
    else
      case "$(state)" in
        ACTIVE | UNKNOWN) ;;
        *) return 200 ;;
      esac
    fi
    [[ -z "$dry_run" ]] || return 0
    sleep "$POLL_SECONDS"
  done
}

run() {
  local code old=yes
  trap 'say "This no longer watches. The machine may be there, AND COST, until: $(again down)"; exit 130' INT TERM
  while true; do
    code=0
    up || code=$?
    if ((code == 0)); then
      dry_state=ACTIVE
      if [[ -n "$dry_run" ]]; then
        start
        remark "every $POLL_SECONDS s: its log and how it is doing; where the machine is gone: from the top"
        report 0
        break
      fi
      watch_run "$old" || code=$?
      old=""
      if ((code == 200)) && [[ "$(state)" == ACTIVE ]]; then
        start || true # what failed shows in the next report
        code=0
        watch_run "" || code=$?
      fi
      ((code == 200)) || break
      say "The machine was taken away, or the run has to be started again."
      sleep "$POLL_SECONDS"
      continue
    fi
    break
  done
  case "$code" in
    0) say "The run is complete: $WORKDIR" ;;
    2) say "The run cannot begin; the last lines of the log ($NAME.log) say why." ;;
    75) say "Not complete; the same command goes on." ;;
    143)
      say "Stopped. The machine is still there, and costs until: $(again down)"
      return 143
      ;;
    *) say "The run failed (exit code $code); the log is in $NAME.log." ;;
  esac
  if [[ "$WHEN_DONE" == delete ]]; then
    remark "at the end, whatever it was: delete the machine and make sure that it is gone"
    down
  else
    say "The machine stays, AND COSTS, until: $(again down)"
  fi
  return "$code"
}

# Saves and ends the run, and waits until it has: two minutes at most.
stop() {
  gc_again tpu-vm ssh "$NAME" --worker=0 "--command=if [ -e munet.pid ] && [ ! -e munet.exit ]; then touch munet.stopped; kill -TERM \$(cat munet.pid)
for i in \$(seq 120); do [ ! -e munet.exit ] || break; sleep 1; done; fi; [ -e munet.exit ] && echo \"the run has ended: exit code \$(cat munet.exit)\" || echo 'no run has ended here'"
}

logs() {
  on_machine 'tail -n 100 -F munet.log'
}

status() {
  gc_again queued-resources list
  gc_again tpu-vm list
  if [[ "$(state)" == ACTIVE ]]; then
    on_machine "$(status_of_run)"
    [[ -n "$dry_run" ]] || say "$(price_class) Until: $(again down)"
  fi
}

status_of_run() {
  echo "[ ! -e munet.exit ] || echo \"the run has ended: exit code \$(cat munet.exit)\"; tail -n 3 munet.log; ./munet/.venv/bin/munet status --workdir=$(printf %q "$WORKDIR")"
}

again() { echo "./launch/tpu_vm.sh $1${settings_option:+ $settings_option}"; }

past_deadline() {
  ((HOURS > 0 && SECONDS >= HOURS * 3600)) && [[ -z "$dry_run" ]]
}

task="" settings="$ROOT/launch/tpu_vm.settings" settings_option="" dry_run="" dry_state=""
exec 3>&1 # `state` prints its command here in a dry run
for argument in "$@"; do
  case "$argument" in
    --settings=*) settings="${argument#--settings=}" settings_option="$argument" ;;
    --dry_run) dry_run=yes ;;
    up | run | logs | status | stop | down) task="$argument" ;;
    -h | --help | help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *)
      echo "There is no '$argument'. Valid: up, run, logs, status, stop, down; --settings=FILE, --dry_run." >&2
      exit 2
      ;;
  esac
done
if [[ -z "$task" ]]; then
  sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
read_settings "$settings" || exit 2
if [[ "$task" == run && -z "$REPOSITORY" ]] && ! git -C "$ROOT" rev-parse -q --verify "${REVISION:-HEAD}^{commit}" >/dev/null; then
  echo "This folder is no git checkout that has ${REVISION:-HEAD}: what should be copied to the machine? Give REPOSITORY." >&2
  exit 2
fi
if [[ -z "$dry_run" ]] && ! command -v gcloud >/dev/null; then
  echo "gcloud is not installed: https://cloud.google.com/sdk/docs/install, then: gcloud auth login" >&2
  exit 2
fi
remark "$(price_class)"
"$task"
