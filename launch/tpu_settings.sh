# shellcheck shell=bash
# Sourced by tpu_vm.sh: the settings of a TPU VM, read from a file and checked before anything costs money.

SETTINGS=(NAME PROJECT ZONE ACCELERATOR SPOT WORKDIR CACHE_DIR ARGUMENTS REPOSITORY REVISION WHEN_DONE HOURS VALID_FOR
  SERVICE_ACCOUNT NETWORK SUBNETWORK)
# Machines of one host, and the software that Google names for them:
# https://cloud.google.com/tpu/docs/runtimes, read on 2026-11-29
declare -A RUNTIMES=([v2]=tpu-ubuntu2204-base [v3]=tpu-ubuntu2204-base [v4]=tpu-ubuntu2204-base
  [v5litepod]=v2-alpha-tpuv5-lite [v5p]=v2-alpha-tpuv5 [v6e]=v2-alpha-tpuv6e)
declare -A CHIPS=([v2-8]=4 [v3-8]=4 [v4-8]=4 [v5p-8]=4 [v5litepod-1]=1 [v5litepod-4]=4 [v5litepod-8]=8 [v6e-1]=1
  [v6e-4]=4 [v6e-8]=8)

# read_settings FILE: sets every setting and RUNTIME; prints all that is wrong with them, and fails.
read_settings() {
  local file="$1" line name value number=0 setting
  problems=()
  if [[ ! -f "$file" ]]; then
    echo "There is no settings file $file. Copy launch/tpu_vm.settings.example there and fill it in." >&2
    return 2
  fi
  for setting in "${SETTINGS[@]}"; do
    printf -v "$setting" '%s' ""
  done
  # shellcheck disable=SC2034  # tpu_vm.sh uses them, as RUNTIME below
  SPOT=yes WHEN_DONE=delete HOURS=24
  while IFS= read -r line || [[ -n "$line" ]]; do
    number=$((number + 1))
    line="${line%$'\r'}"
    [[ "$line" =~ ^[[:space:]]*(#|$) ]] && continue
    if [[ ! "$line" =~ ^([A-Z_]+)=(.*)$ ]]; then
      problems+=("line $number, '$line': expected NAME=VALUE.")
      continue
    fi
    name="${BASH_REMATCH[1]}" value="${BASH_REMATCH[2]}"
    if [[ " ${SETTINGS[*]} " != *" $name "* ]]; then
      problems+=("line $number: there is no setting $name. Valid: ${SETTINGS[*]}.")
      continue
    fi
    printf -v "$name" '%s' "$value"
  done <"$file"
  check_settings
  # shellcheck disable=SC2034
  RUNTIME="${RUNTIMES[${ACCELERATOR%-*}]:-}"
  if ((${#problems[@]})); then
    echo "$file cannot be used:" >&2
    printf '  - %s\n' "${problems[@]}" >&2
    return 2
  fi
}

# Adds to `problems` what is wrong.
check_settings() {
  expect NAME '^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$' "small letters, digits and -, at most 50, such as munet-characters"
  expect PROJECT '^[a-z][-a-z0-9:.]{4,}$' "the id of a Google Cloud project, such as my-project-1234"
  expect ZONE '^[a-z]+-[a-z]+[0-9]+-[a-z]$' "a zone, such as europe-west4-b"
  check_accelerator
  expect SPOT '^(yes|no)$' "yes or no"
  expect WORKDIR '^gs://[a-z0-9][-_.a-z0-9]*/.+$' "gs://BUCKET/FOLDER: what is on the machine is lost with it"
  if [[ "$WORKDIR$CACHE_DIR" == *my-bucket* || "$PROJECT" == my-project ]]; then
    problems+=("my-project and my-bucket are the example's: give your own.")
  fi
  [[ -z "$CACHE_DIR" ]] || expect CACHE_DIR '^(gs://[a-z0-9][-_.a-z0-9]*/.+|/.+)$' "gs://BUCKET/FOLDER, a path, or nothing"
  expect WHEN_DONE '^(delete|keep)$' "delete or keep"
  expect HOURS '^[0-9]{1,4}$' "a whole number of hours, 0 for no limit"
  [[ -z "$VALID_FOR" ]] || expect VALID_FOR '^[0-9]+[smhd]$' "a time such as 6h, or nothing"
  if ! split_words "$ARGUMENTS"; then
    problems+=("ARGUMENTS=$ARGUMENTS: a quote is not closed.")
  elif [[ " ${words[*]-} " == *" --workdir"* ]]; then
    problems+=("ARGUMENTS has --workdir: that is WORKDIR.")
  elif [[ " ${words[*]-} " != *" --config="* ]]; then
    problems+=("ARGUMENTS=$ARGUMENTS: say which --config, such as --config=characters.")
  fi
  if [[ " ${words[*]-} " == *"=/"* || " ${words[*]-} " == *"folder:/"* || " ${words[*]-} " == *"npz:/"* ]]; then
    problems+=("ARGUMENTS names a path on this machine's disk, which a new machine does not have: give gs://... there.")
  fi
}

# expect NAME PATTERN WORDS
expect() {
  [[ "${!1}" =~ $2 ]] || problems+=("$1=${!1}: expected $3.")
}

check_accelerator() {
  local valid="${!CHIPS[*]}"
  valid="$(tr ' ' '\n' <<<"$valid" | sort -V | paste -sd' ' -)"
  if [[ -n "${CHIPS[$ACCELERATOR]:-}" ]]; then
    return
  fi
  case "$ACCELERATOR" in
    tpu7x* | v7* | ironwood*)
      problems+=("ACCELERATOR=$ACCELERATOR: the Cloud TPU API does not serve TPU7x. Use launch/gke/tpu_job.yaml, or run launch/on_machine.sh on a Compute Engine instance.")
      ;;
    v2-* | v3-* | v4-* | v5p-* | v5litepod-* | v6e-*)
      problems+=("ACCELERATOR=$ACCELERATOR has no or several hosts, and munet uses one. Valid: $valid.")
      ;;
    *) problems+=("ACCELERATOR=$ACCELERATOR: no such kind. Valid: $valid.") ;;
  esac
}

# Sets `words` to what a shell would make of the quotes in $1; nothing is expanded or executed.
split_words() {
  local text
  words=()
  text="$(xargs -n 1 printf '%s\n' <<<"$1" 2>/dev/null)" || return 1
  [[ -z "$text" ]] || mapfile -t words <<<"$text"
}

# What the machine costs, in words that stay true: prices change, https://cloud.google.com/tpu/pricing has them.
price_class() {
  local kind="on demand"
  [[ "$SPOT" != yes ]] || kind="spot"
  echo "$ACCELERATOR in $ZONE, $kind: ${CHIPS[$ACCELERATOR]} chip-hours of ${ACCELERATOR%-*} for every hour that it is ACTIVE, at work or idle (https://cloud.google.com/tpu/pricing)."
}
