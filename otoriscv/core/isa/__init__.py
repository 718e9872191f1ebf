"""The instruction set: importing this package fills `table.TABLE` with every row."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Final

#: Row modules in the order that fixes handler numbers.
MODULES: Final = (
    "rv_i", "rv_m", "rv_a", "rv_c", "zifencei", "zicsr", "privileged", "zba", "zbb", "zbc", "zbs",
    "zicond", "zihintpause",
)  # fmt: skip

for _name in MODULES:
    if importlib.util.find_spec(f"{__name__}.{_name}") is not None:
        importlib.import_module(f"{__name__}.{_name}")
