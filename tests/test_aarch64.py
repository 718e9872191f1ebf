"""The interpreter for aarch64 hosts: its object is generated and relocated (it is not run here)."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

# In a process of its own: the convention is chosen when the modules are imported.
SCRIPT = """
import platform, sys
platform.machine = lambda: "aarch64"
import llvmlite.binding as llvm
from otoriscv.jit.interp.build import handler_names, module_text
from otoriscv.jit.llvm import compile as c
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
triple, xlen = "aarch64-unknown-linux-gnu", int(sys.argv[1])
target = llvm.Target.from_triple(triple)
machine = target.create_target_machine(opt=1, reloc="pic", codemodel="small")
module = llvm.parse_assembly(module_text(xlen))
module.triple, module.data_layout = triple, str(machine.target_data)
module.verify()
c._run_passes(llvm, machine, module, "sroa")
blob = c.link(machine.emit_object(module))
missing = {*handler_names(xlen), "enter", "exact"} - set(blob.symbols)
print(len(blob.code), len(missing))
"""


@pytest.mark.parametrize("xlen", [32, 64])
def test_the_library_links_for_aarch64(xlen: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(xlen)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    size, missing = map(int, done.stdout.split())
    assert size > 50_000
    assert missing == 0
