"""Control and status registers: a table with a line or a short function for each."""

from otoriscv.core.csr import counters, plain, pmp, routines, status
from otoriscv.core.csr.table import CSRS, Csr, existing, find

__all__ = ["CSRS", "Csr", "counters", "existing", "find", "plain", "pmp", "routines", "status"]
