"""Where config files that users wrote for munet 0.3 import the settings of a pre-training: `munet.config.pretrain`."""

from __future__ import annotations

from munet.config.pretrain import *  # noqa: F403
