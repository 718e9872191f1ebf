"""The bits of mstatus (privileged spec, section 3.1.6)."""

from __future__ import annotations

from typing import Final

__all__ = ["MSTATUS"]


class MSTATUS:
    """One name a bit or field."""

    SIE: Final = 1 << 1
    MIE: Final = 1 << 3
    SPIE: Final = 1 << 5
    MPIE: Final = 1 << 7
    SPP: Final = 1 << 8
    MPP: Final = 3 << 11
    FS: Final = 3 << 13
    MPRV: Final = 1 << 17
    SUM: Final = 1 << 18
    MXR: Final = 1 << 19
    TVM: Final = 1 << 20
    TW: Final = 1 << 21
    TSR: Final = 1 << 22
