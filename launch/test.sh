#!/usr/bin/env bash
# Makes .venv if need be, then formats (check only), lints, type-checks and tests; arguments go to pytest.
#
#   ./launch/test.sh
#   ./launch/test.sh -m slow tests/test_kill.py
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$ROOT"

EXTRA_REQUIREMENTS=tests/requirements.txt prepare_environment "$ROOT/.venv"
.venv/bin/ruff format --check .
.venv/bin/ruff check .
.venv/bin/mypy
.venv/bin/python -m pytest -n 2 --dist loadfile "$@"
