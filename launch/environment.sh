# shellcheck shell=bash
# Sourced by the other scripts: finds a Python that can run munet, and keeps a virtual environment up to date.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Prints the first of the given interpreters that is 3.11 or newer and can make virtual environments.
# They are run, not only looked up: a pyenv shim exists for versions that are not active.
find_python() {
  local candidate
  for candidate in "$@"; do
    if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# Prints an interpreter's version; nothing if it does not run.
version_of() {
  "$1" -c 'import sys; print(sys.version)' 2>/dev/null || true
}

# prepare_environment FOLDER [PYTHON...]: makes the virtual environment FOLDER with the first PYTHON that works, and
# installs requirements.txt, the files that $EXTRA_REQUIREMENTS names, this checkout (editable) and those of its extras
# that $MUNET_EXTRAS names (with commas: `cuda`, `tpu,gcs`), unless it has them already. By default the interpreters to
# try are $PYTHON alone if it is set, else the usual names.
prepare_environment() {
  local folder="$1" python file
  shift
  check_extras || return 2
  if [[ $# -eq 0 && -n "${PYTHON:-}" ]]; then
    set -- "$PYTHON"
    if [[ "$(version_of "$PYTHON")" != "$(version_of "$folder/bin/python")" ]]; then
      rm -rf "$folder"
    fi
  elif [[ $# -eq 0 ]]; then
    set -- python3.13 python3.12 python3.11 python3 python
  fi
  if ! python="$(find_python "$folder/bin/python" "$@")"; then
    echo "munet needs Python 3.11 or newer with its venv module; none of these is one: $*" >&2
    echo "Install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: PYTHON=/path/to/python $0" >&2
    return 1
  fi
  if [[ "$python" != "$folder/bin/python" ]]; then
    echo "Making $folder with $("$python" --version) ..." >&2
    "$python" -m venv --clear "$folder"
  fi
  for file in requirements.txt ${EXTRA_REQUIREMENTS:-}; do
    install_once "$folder" "$file" "" || return 1
  done
  if [[ -n "${MUNET_EXTRAS:-}" ]]; then
    install_once "$folder" requirements.txt "$(sorted_extras)" || return 1
  fi
}

# Refuses extras that setup.py does not have, and a JAX for two kinds of accelerator.
check_extras() {
  local extra known=" cuda tpu gcs hf tfds-prepare export serve "
  for extra in $(sorted_extras | tr ',' ' '); do
    if [[ "$known" != *" $extra "* ]]; then
      echo "MUNET_EXTRAS=${MUNET_EXTRAS:-}: there is no extra '$extra'. Valid:$known(several with commas)" >&2
      return 2
    fi
  done
  if [[ ",$(sorted_extras)," == *,cuda,* && ",$(sorted_extras)," == *,tpu,* ]]; then
    echo "MUNET_EXTRAS=${MUNET_EXTRAS:-}: a machine has a GPU or a TPU; give cuda or tpu." >&2
    return 2
  fi
}

# Prints $MUNET_EXTRAS in order, each once: "tpu, gcs" and "gcs,tpu" are one set, with one stamp.
sorted_extras() {
  tr -s ', ' '\n' <<<"${MUNET_EXTRAS:-}" | sort -u | sed '/^$/d' | paste -sd, -
}

# install_once FOLDER FILE EXTRAS: installs a file of pins into the environment FOLDER unless that has been done; with
# requirements.txt itself, this checkout too. With EXTRAS: those of this checkout, inside the file's pins, so that
# `jax[cuda]` and `jax[tpu]` are of the version that is tested.
install_once() {
  local folder="$1" file="$2" extras="$3" installed stamp
  installed="$folder/munet-installed-${file//\//-}${extras:+-${extras//,/-}}"
  stamp="$("$folder/bin/python" - "$ROOT" "$file" <<'PYTHON'
import hashlib, pathlib, sys
files = [pathlib.Path(sys.argv[1], name) for name in (sys.argv[2], "setup.py", "pyproject.toml")]
print(hashlib.sha256(b"\0".join([sys.version.encode(), *(file.read_bytes() for file in files)])).hexdigest())
PYTHON
)"
  if [[ "$(cat "$installed" 2>/dev/null)" == "$stamp" && -x "$folder/bin/munet" ]]; then
    return 0
  fi
  if [[ -n "$extras" ]]; then
    echo "Installing the extras $extras into $folder (once; takes some minutes) ..." >&2
    # -qq: errors only; -r beside the extras: what they need must fit the pins.
    pip_install "$folder" -r "$ROOT/$file" -e "${ROOT}[$extras]" || return 1
  else
    echo "Installing $file into $folder (once; takes a minute or two) ..." >&2
    pip_install "$folder" -r "$ROOT/$file" && pip_install "$folder" --no-deps -e "$ROOT" || return 1
  fi
  echo "$stamp" >"$installed"
}

# pip_install FOLDER ARGUMENT...: what pip prints says why it fails.
pip_install() {
  if ! "$1/bin/python" -m pip install -qq --disable-pip-version-check "${@:2}"; then
    echo "The installation failed; the lines above say why. It needs a package index (pip's own settings apply)." >&2
    return 1
  fi
}
