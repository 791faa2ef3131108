#!/usr/bin/env bash
# Makes .venv if need be, then starts or resumes `munet evolve` with the given arguments; without any: the demo.
#
#   ./launch/local.sh
#   ./launch/local.sh --config=characters:real --config.seed=1
#   PYTHON=python3.12 ./launch/local.sh --dry_run
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment "$ROOT/.venv"
exec "$ROOT/.venv/bin/munet" evolve "$@"
