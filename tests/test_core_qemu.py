"""Traps, privilege, CSRs and translation against QEMU: the same guest prints the same lines."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

from otoriscv import tools
from otoriscv.board.loaders import load_image
from otoriscv.board.stops import StopReason
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.sem import CAUSE
from otoriscv.jit.engine import EngineUnavailable
from tests import paging_guest
from tests.core_box import RAM
from tests.trap_guest import csr_lines, program, trap_lines

pytestmark = pytest.mark.qemu

#: Scenes in which QEMU 7.2 does not do what the specification says, and what that is.
QEMU_DIFFERS = {
    "misaligned AMO": "it reports a misaligned load; an AMO's faults are a store's",
    "AMO on a hole": "likewise, a load access fault",
    "misaligned sc": "it does not look at the address when there is no reservation",
    "SEIP and STIP": "it takes the lowest number first; SEI is before STI",
    "sie and sip": "likewise: SEI is before SSI",
}


def _as_specified(label: str, line: str) -> str:
    """QEMU's line; an AMO's page fault, which it may report as a load's, is a store's."""
    cause, _, rest = line.partition(" ")
    if label.startswith("AMO of") and int(cause, 16) == CAUSE.LOAD_PAGE:
        cause = f"{CAUSE.STORE_PAGE:0{len(cause)}x}"
    return f"{cause} {rest}"


@lru_cache
def _qemu(xlen: int, elf: Path) -> list[str]:
    command = [
        *tools.find_qemu(xlen).command, "-M", "virt", "-cpu", f"rv{xlen},f=false,d=false,h=false",
        "-bios", "none", "-kernel", str(elf), "-display", "none", "-monitor", "none",
        "-serial", "stdio",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().splitlines()[1:]


_GUESTS = [(x, w) for x in (32, 64) for w in ("traps", "csrs")]
_GUESTS += [(x, mode) for mode, (x, _) in paging_guest.MODES.items()]


def _labels(what: str) -> list[str]:
    if what in paging_guest.MODES:
        return paging_guest.lines(what)
    return trap_lines() if what == "traps" else csr_lines()


@pytest.fixture(scope="module", params=_GUESTS)
def guest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, str, Path]:
    xlen, what = request.param
    for tool in (tools.find_cc(), tools.find_qemu(xlen)):
        if not tool.usable:
            pytest.skip(tool.reason)
    elf = tmp_path_factory.mktemp("guest") / f"{what}{xlen}.elf"
    source = elf.with_suffix(".S")
    paged = what in paging_guest.MODES
    source.write_text(paging_guest.program(what) if paged else program(xlen, what))
    abi = "ilp32" if xlen == 32 else "lp64"
    subprocess.run(
        [
            *tools.find_cc().command, f"-march=rv{xlen}imac_zicsr", f"-mabi={abi}", "-nostdlib",
            f"-Wl,-Ttext={RAM:#x}", "-Wl,--no-relax", "-o", str(elf), str(source),
        ],
        check=True,
    )  # fmt: skip
    return xlen, what, elf


@pytest.mark.parametrize("engine", ["python", "interp"])
def test_same_lines(guest: tuple[int, str, Path], engine: str) -> None:
    xlen, what, elf = guest
    try:
        machine = VirtMachine(VirtConfig(image=load_image(str(elf)), engine=engine))
    except EngineUnavailable as e:
        pytest.skip(str(e))
    stop = machine.runner.run(5_000_000, None)
    got = bytes(machine.console.output).decode().splitlines()[1:]  # type: ignore[attr-defined]  # a BufferConsole
    machine.close()
    assert stop.reason is StopReason.EXIT, stop
    labels = _labels(what)
    want = _qemu(xlen, elf)
    assert len(want) == len(labels)
    want = [_as_specified(label, line) for label, line in zip(labels, want, strict=True)]
    differ = [
        f"{label}: QEMU {q!r}, we {o!r}"
        for label, q, o in zip(labels, want, got, strict=False)
        if q != o and not label.startswith(tuple(QEMU_DIFFERS))
    ]
    assert not differ, "\n".join(differ)
    assert len(got) == len(want)
