"""Options of our own tests, and the fixtures that several modules of them share.

The options choose the engine under the tests of debugging and of the board:

    pytest --engine llvm --jit-threshold 1 --jit-workers 0 tests/test_gdb_real.py

The JIT's go into the environment, where everything that is run finds them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import RspClient
from otoriscv.jit.engines import ENGINES
from tests import engine_choice
from tests.fake_target import FakeTarget
from tests.stub import Connect

# A shell starts what it puts into the background with ^C ignored: tests of ^C would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


@pytest.fixture
def compiled_inline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The llvm engine compiles at the first sample, inline, and keeps it in a cache of its own."""
    monkeypatch.setenv("OTORISCV_JIT_THRESHOLD", "1")
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "0")
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def target() -> Iterator[FakeTarget]:
    """The machine behind `server`; modules have others."""
    target = FakeTarget()
    yield target
    target.stop()


@pytest.fixture
def server(target: FakeTarget) -> Iterator[GdbServer]:
    """The stub, at a free port."""
    server = GdbServer(target)
    server.start()
    yield server
    server.close()
    assert server.join(5)


@pytest.fixture
def connect(server: GdbServer) -> Iterator[Connect]:
    """A function that connects a client."""
    clients: list[RspClient] = []

    def connect(**options: Any) -> RspClient:
        clients.append(RspClient(*server.address, **{"timeout": 10, **options}))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> RspClient:
    """One that is connected."""
    return connect()
