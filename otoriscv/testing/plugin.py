"""The pytest plugin: ``machine`` and ``gdb`` fixtures.

* ``@pytest.mark.otoriscv(image="fw.elf", isa=..., engine=..., ...)`` on a test, class or module
  says which machine its fixtures get: the arguments of `otoriscv.Machine`; the nearest mark wins.
  The ini option ``otoriscv_image`` is the default image. Names are relative to the root folder.
* ``machine`` is that machine, halted at its reset vector. It is made once per process and restored
  from a snapshot for every test; a test that attaches devices gets one of its own afterwards.
* ``gdb`` is a real gdb with the image loaded, attached to ``machine`` on a free port.
* ``otoriscv_machine(**arguments)`` and ``otoriscv_gdb(machine)`` make more of them.

When a test fails, its report shows each machine's console, registers, last instructions and
backtrace. Without a gdb (or pygdbmi) tests that need it are skipped, or fail under
``--otoriscv-strict``. Nothing of otoriscv is imported before a fixture is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from otoriscv.api import Machine
    from otoriscv.testing.gdb import Gdb
    from otoriscv.testing.pool import Pool

__all__: list[str] = []

_MACHINES = pytest.StashKey[list["Machine"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The command line and the ini file."""
    parser.addini("otoriscv_image", "the image that otoriscv's machines run", default="")
    parser.getgroup("otoriscv").addoption(
        "--otoriscv-strict",
        action="store_true",
        help="fail, instead of skipping, where gdb or another tool is missing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """The mark."""
    config.addinivalue_line(
        "markers",
        "otoriscv(image, isa, engine, ...): the machine of this test, as otoriscv.Machine takes it",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the machines were doing, when the test failed."""
    report = yield
    if report.when == "call" and report.failed:
        from otoriscv.testing.report import describe

        for machine in item.stash.get(_MACHINES, []):
            report.sections.append(("otoriscv machine", describe(machine)))
    return report


def _missing(request: pytest.FixtureRequest, reason: str) -> None:
    if request.config.getoption("--otoriscv-strict"):
        pytest.fail(reason)
    pytest.skip(reason)


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The marks' arguments, the nearest winning, and the ini option's image."""
    arguments: dict[str, Any] = {}
    image = request.config.getini("otoriscv_image")
    if image:
        arguments["image"] = image
    for mark in reversed(list(request.node.iter_markers("otoriscv"))):
        if len(mark.args) > 1:
            raise pytest.UsageError("@pytest.mark.otoriscv takes one unnamed argument, the image")
        arguments.update({"image": mark.args[0]} if mark.args else {}, **mark.kwargs)
    return arguments


@pytest.fixture(scope="session")
def _otoriscv_pool() -> Iterator[Pool]:
    from otoriscv.testing.pool import Pool

    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def otoriscv_machine(
    request: pytest.FixtureRequest, _otoriscv_pool: Pool
) -> Iterator[Callable[..., Machine]]:
    """Make machines: ``otoriscv_machine(image=..., isa=..., ...)``; the test's mark fills in."""
    used: list[Machine] = []
    request.node.stash[_MACHINES] = used

    def make(image: Any = None, **arguments: Any) -> Machine:
        wanted = {**_arguments(request), **arguments}
        if image is not None:
            wanted["image"] = image
        if isinstance(wanted.get("image"), str):
            wanted["image"] = str(request.config.rootpath / wanted["image"])
        machine = _otoriscv_pool.take(wanted)
        used.append(machine)
        return machine

    yield make
    for machine in used:
        _otoriscv_pool.give_back(machine)


@pytest.fixture
def machine(otoriscv_machine: Callable[..., Machine]) -> Machine:
    """The machine that the test's mark, or the ini file, describes."""
    return otoriscv_machine()


@pytest.fixture
def otoriscv_gdb(request: pytest.FixtureRequest) -> Iterator[Callable[[Machine], Gdb]]:
    """Start gdbs: ``otoriscv_gdb(machine)`` is one that is attached to *machine*."""
    from contextlib import ExitStack, closing

    from otoriscv.tools import find_gdb

    tool = find_gdb()
    if not tool.usable:
        _missing(request, f"no gdb: {tool.reason}")
    try:
        from otoriscv.testing.gdb import Gdb
    except ImportError:
        _missing(request, "no pygdbmi: pip install pygdbmi")
    with ExitStack() as stack:

        def start(machine: Machine) -> Gdb:
            server = stack.enter_context(closing(machine.gdb_server()))
            image = machine.board.image
            elf = image.path if image is not None and image.kind == "elf" else None
            gdb = stack.enter_context(Gdb(elf))
            if elf is None:
                gdb.cli(f"set architecture riscv:rv{machine.board.xlen}")
            gdb.connect(*server.address)
            return gdb

        yield start


@pytest.fixture
def gdb(machine: Machine, otoriscv_gdb: Callable[[Machine], Gdb]) -> Gdb:
    """A real gdb attached to the test's ``machine``."""
    return otoriscv_gdb(machine)
