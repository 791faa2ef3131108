"""Programs on disk: they are kept, and left alone where compilation is measured. In processes of their own: JAX's
settings are the process's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, jax
from munet.training.program.compilation_cache import use_compilation_cache, without_compilation_cache
use_compilation_cache(sys.argv[1])
with without_compilation_cache():
    jax.jit(lambda x: x * 3)(1.0)
    print(sum(1 for _ in __import__("pathlib").Path(sys.argv[1]).rglob("*-cache")))
jax.jit(lambda x: x * 4)(1.0)
print(sum(1 for _ in __import__("pathlib").Path(sys.argv[1]).rglob("*-cache")))
"""


def test_programs_are_kept_but_not_while_compilation_is_measured(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "JAX_PLATFORMS": "cpu"},
    )
    measured, kept = map(int, done.stdout.split())
    assert measured == 0
    assert kept >= 1
