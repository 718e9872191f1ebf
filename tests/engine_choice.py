"""Which engines the tests of debugging and of the board run on; conftest.py changes it."""

from __future__ import annotations

#: Names for `VirtConfig.engine`; empty: those that each module has for itself.
asked: tuple[str, ...] = ()
