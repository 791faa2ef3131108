"""`python -m munet` is `munet`."""

from __future__ import annotations

import sys

from munet.cli import main

if __name__ == "__main__":
    sys.exit(main())
