"""Options of our own tests: the engine under the tests of debugging and of the board.

    pytest --engine llvm --jit-threshold 1 --jit-workers 0 tests/test_gdb_real.py

The JIT's go into the environment, where everything that is run finds them.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from otoriscv.jit.engines import ENGINES
from tests import engine_choice

_VARIABLES: Final = {
    "jit_threshold": "OTORISCV_JIT_THRESHOLD",
    "jit_workers": "OTORISCV_JIT_WORKERS",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("our own tests")
    group.addoption(
        "--engine",
        action="append",
        choices=["auto", *ENGINES],
        help="test debugging and the board with this engine; may be given again",
    )
    group.addoption("--jit-threshold", type=int, metavar="N", help="as otoriscv's own option")
    group.addoption("--jit-workers", type=int, metavar="N", help="as otoriscv's own option")


def pytest_configure(config: pytest.Config) -> None:
    engines = config.getoption("engine")
    if engines:
        engine_choice.asked = tuple(engines)
    for option, variable in _VARIABLES.items():
        value = config.getoption(option)
        if value is not None:
            os.environ[variable] = str(value)
