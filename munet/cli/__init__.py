"""The command line: `main` is the console script `munet`."""

from __future__ import annotations

from munet.cli.main import main

__all__ = ["main"]
