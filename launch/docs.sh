#!/usr/bin/env bash
# Builds the documentation site into build/docs, in an environment with what docs/requirements.txt names; a warning is
# an error. Open build/docs/index.html. Arguments go to sphinx-build.
#
#   ./launch/docs.sh
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

EXTRA_REQUIREMENTS=docs/requirements.txt prepare_environment "$ROOT/.venv"
JAX_PLATFORMS=cpu .venv/bin/python -m sphinx -b html -j auto -W --keep-going -q "$@" docs build/docs
echo "The site is in $ROOT/build/docs/index.html"
