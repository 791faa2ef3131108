"""What a stand-in machine has on its path: a Python whose pip installs a stand-in for munet, tmux, curl."""

from __future__ import annotations

import sys
from pathlib import Path

# Makes the environment at once; `munet` is the script below.
PYTHON = """#!/usr/bin/env bash
case "$1 $2" in
  "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit 0 ;;
  "-m pip") cp "{munet}" "$(dirname "$0")/munet"; exit 0 ;;
esac
exec "{python}" "$@"
"""
# A run is a folder with a file for each step. `gs://bucket` is a folder beside it.
MUNET = """#!/usr/bin/env bash
bucket="{bucket}" steps={steps}
for argument in "$@"; do
  [[ "$argument" != --workdir=gs://* ]] || run="$bucket/${{argument#--workdir=gs://}}"
done
case "$1" in
  devices) echo "8 TPU devices" ;;
  status) [[ "$(ls "$run" | wc -l)" == "$steps" ]] && echo '{{"complete": true}}' || echo '{{"complete": false}}' ;;
  evolve)
    trap 'echo saved; exit 143' TERM
    mkdir -p "$run"
    echo "evolve $*"
    [[ -z "{code}" ]] || exit "{code}"
    while (( $(ls "$run" | wc -l) < steps )); do
      sleep 0.05
      touch "$run/$(ls "$run" | wc -l)"
    done
    echo "all $steps steps" ;;
esac
"""
TMUX = """#!/usr/bin/env bash
# tmux new-session -d -s NAME COMMAND; has-session -t NAME: one session, in a process group of its own
mkdir -p "$CLOUD/sessions"
case "$1" in
  has-session) [[ -n "$(ls "$CLOUD/sessions")" ]] && kill -0 "$(ls "$CLOUD/sessions")" 2>/dev/null ;;
  new-session) setsid bash -c "${@: -1}" </dev/null >/dev/null 2>&1 &
    rm -f "$CLOUD/sessions"/*; touch "$CLOUD/sessions/$!" ;;
esac
"""
NO_METADATA = "#!/usr/bin/env bash\nexit 6\n"


def make(cloud: Path, *, steps: int = 6, code: str = "", program: str = "") -> None:
    """Fills `cloud/bin` and makes `cloud/bucket`.

    Args:
      cloud: the folder of the stand-in.
      steps: of a whole run.
      code: with which every `munet evolve` ends at once; "": none.
      program: instead of the stand-in for munet.
    """
    programs, bucket = cloud / "bin", cloud / "bucket"
    for folder in (programs, bucket):
        folder.mkdir(parents=True, exist_ok=True)
    munet = cloud / "munet-program"
    texts = {
        munet: program or MUNET.format(bucket=bucket, steps=steps, code=code),
        programs / "python3.13": PYTHON.format(munet=munet, python=sys.executable),
        programs / "tmux": TMUX,
        programs / "curl": NO_METADATA,
    }
    for path, text in texts.items():
        path.write_text(text)
        path.chmod(0o755)
