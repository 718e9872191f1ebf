"""``python -m otoriscv``."""

from __future__ import annotations

import sys

from otoriscv.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
