"""Puts this folder's helpers (`trees`, `make_timm_golden`) on the import path of its tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
