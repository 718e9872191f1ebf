"""The instruction set: importing this package fills `table.TABLE` with every row.

The order of the imports fixes the handler numbers.
"""

# isort: off
from otoriscv.core.isa import rv_i
from otoriscv.core.isa import rv_m
from otoriscv.core.isa import rv_a
from otoriscv.core.isa import rv_c
from otoriscv.core.isa import zifencei
from otoriscv.core.isa import zicsr
from otoriscv.core.isa import privileged
from otoriscv.core.isa import zba
from otoriscv.core.isa import zbb
from otoriscv.core.isa import zbc
from otoriscv.core.isa import zbs
from otoriscv.core.isa import zicond
from otoriscv.core.isa import zihintpause
from otoriscv.core.isa import rv_fd
from otoriscv.core.isa import rv_f
from otoriscv.core.isa import rv_d
from otoriscv.core.isa import rv_cf
from otoriscv.core.isa import zicbo

# isort: on
from otoriscv.core.isa_table import TABLE

TABLE.end_source()

__all__ = [
    "privileged", "rv_a", "rv_c", "rv_cf", "rv_d", "rv_f", "rv_fd", "rv_i", "rv_m", "zba", "zbb",
    "zbc", "zbs", "zicbo", "zicond", "zicsr", "zifencei", "zihintpause",
]  # fmt: skip
