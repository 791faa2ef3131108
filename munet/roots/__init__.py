"""Roots: from what a person names (a path, a URL, a release's name, a run of ours) to a checked checkpoint."""

from __future__ import annotations

from munet.roots.checkpoint import Checkpoint
from munet.roots.resolve import find, needs_download

__all__ = ["Checkpoint", "find", "needs_download"]
