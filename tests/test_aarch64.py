"""The native code for aarch64 hosts, run by user-mode emulation beside this host's own."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from otoriscv.core.layout import HART, HART_FIELDS_END, Exit
from otoriscv.tools import find_qemu_user
from tests.aarch64_image import SEEDS

pytest.importorskip("llvmlite")

ROOT: Final = Path(__file__).resolve().parent.parent
QEMU: Final = find_qemu_user()

pytestmark = [
    pytest.mark.skipif(not QEMU.usable, reason=QEMU.reason),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="this host is not another one"),
]


@pytest.mark.parametrize("xlen", [32, 64])
def test_the_same_as_on_this_host(xlen: int, tmp_path: Path) -> None:
    """Registers, CSRs, counters and memory are equal, of regions and of the interpreter."""
    for host, cache in (("aarch64", "0"), ("here", "1")):
        command = [sys.executable, "-m", "tests.aarch64_image", host, str(xlen), str(tmp_path)]
        environment = os.environ | {"OTORISCV_CACHE": cache}
        subprocess.run(command, check=True, cwd=ROOT, timeout=300, env=environment)
    for seed in SEEDS:
        image = tmp_path / f"aarch64-{seed}"
        image.chmod(0o700)
        done = subprocess.run([*QEMU.command, str(image)], capture_output=True, timeout=300)
        assert done.returncode == 0, (seed, done)
        assert done.stdout == (tmp_path / f"here-{seed}").read_bytes(), seed
        hart = struct.unpack_from(f"<{HART_FIELDS_END}Q", done.stdout)
        assert hart[HART["exit_code"]] == Exit.BREAKPOINT, seed
        retired = hart[HART["retired_end"]] - hart[HART["budget"]]
        (in_regions,) = struct.unpack_from("<Q", done.stdout, 8 * HART_FIELDS_END)
        if seed:
            assert retired > 800 and in_regions == 0, seed
        else:
            assert retired > 80_000 and in_regions > 0.4 * retired
