"""Where config files that users wrote for munet 0.3 import the variants of a config from: `munet.config.variants`."""

from __future__ import annotations

from munet.config.variants import *  # noqa: F403
from munet.config.variants import Change

Variant = Change
