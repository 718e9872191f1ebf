"""ISA strings such as ``rv32imac_zicsr_zba`` (unprivileged spec, "Naming Conventions").

Rules followed: case does not matter; single letters stand in canonical order; a multi-letter name
is set apart from the next by an underscore and comes after the single letters, Z, S, then X;
version numbers (``i2p1``) are accepted and ignored; what an extension implies is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from otoriscv.core.isa_table import TABLE, has_ext

__all__ = ["EXTENSIONS", "Isa", "IsaError", "extension_bit", "supported"]


class IsaError(ValueError):
    """An ISA string that is malformed or asks for what is not implemented; one line."""


#: Bit numbers of ``Isa.bits``: the position in this list. Only ever appended to.
EXTENSIONS: Final = (
    "I", "M", "A", "F", "D", "C", "S", "U", "Zicsr", "Zifencei", "Zicntr", "Zmmul", "Zaamo",
    "Zalrsc", "Zca", "Zcf", "Zcd", "Zba", "Zbb", "Zbc", "Zbs", "Zicond", "Zihintpause", "Zihpm",
    "Sstc", "Svinval", "Zcb", "Zfa", "Zfh", "Zfhmin", "Zicbom", "Zicboz", "Zbkb", "Zbkc", "Zbkx",
    "Svadu", "Svade", "Zicbop",
)  # fmt: skip
#: Extensions from outside the package (X...) take the bits from here on, in order of their rows.
_CUSTOM_BIT: Final = 48

#: What is implemented, beside any X extension that has rows.
_IMPLEMENTED: Final = frozenset(
    ("I", "M", "A", "F", "D", "C", "Zcf", "Zcd", "S", "U", "Zicsr", "Zifencei", "Zicntr", "Zmmul",
     "Zaamo", "Zalrsc", "Zca", "Zba", "Zbb", "Zbc", "Zbs", "Zicond", "Zihintpause",
     "Svinval", "Svadu", "Svade", "Sstc", "Zicbom", "Zicbop", "Zicboz")
)  # fmt: skip

#: How A and D bits are set: in an ISA only when it is asked for.
_CHOICES: Final = frozenset(("Svadu", "Svade"))

#: Modes of the machine rather than parts of an ISA string: always there, never printed.
_MODES: Final = ("S", "U")

_IMPLIES: Final[dict[str, tuple[str, ...]]] = {
    "M": ("Zmmul",),
    "A": ("Zaamo", "Zalrsc"),
    "D": ("F",),
    "F": ("Zicsr",),
    "C": ("Zca",),
    "B": ("Zba", "Zbb", "Zbs"),
    "Zicntr": ("Zicsr",),
    "Zcf": ("Zca", "F"),
    "Zcd": ("Zca", "D"),
}
_LETTERS: Final = "IEMAFDGQLCBKJTPVNH"
_G: Final = ("I", "M", "A", "F", "D", "Zicsr", "Zifencei")
_GROUPS: Final = ("B",)
_SINGLE: Final = re.compile(r"([a-z])(\d+(?:p\d+)?)?")
_MULTI: Final = re.compile(r"([zsx][a-z0-9]*?[a-z])(\d+(?:p\d+)?)?")


def _custom() -> list[str]:
    """The X extensions that rows of the table belong to."""
    names = [e for r in TABLE.added for e in re.split(r"[+|]", r.ext) if e.startswith("X")]
    return list(dict.fromkeys(names))


def supported() -> list[str]:
    """The names that an ISA string may contain."""
    return [e for e in EXTENSIONS if e in _IMPLEMENTED and e not in _MODES] + _custom()


def extension_bit(name: str) -> int:
    """The bit number of an extension in ``Isa.bits``; KeyError when it is unknown."""
    if name in EXTENSIONS:
        return EXTENSIONS.index(name)
    custom = _custom()
    if name not in custom or _CUSTOM_BIT + custom.index(name) > 63:
        raise KeyError(f"no extension {name}")
    return _CUSTOM_BIT + custom.index(name)


def _closure(names: Iterable[str], xlen: int) -> set[str]:
    """*names* with everything that they imply."""
    out: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in out:
            out.add(name)
            todo += _IMPLIES.get(name, ())
    if "C" in out:
        out |= {"Zcd"} if "D" in out else set()
        out |= {"Zcf"} if "F" in out and xlen == 32 else set()
    return out


def _order(name: str) -> tuple[int, int, str]:
    """The canonical place of a name."""
    if len(name) == 1:
        return 0, _LETTERS.index(name), name
    second = _LETTERS.find(name[1].upper()) if name[0] == "Z" else 0
    return 1 + "ZSX".index(name[0]), second, name


class Isa(NamedTuple):
    """An XLEN and the extensions that are on, implied ones included."""

    xlen: int
    extensions: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Isa:
        """The ISA that *text* names; IsaError says what is wrong with it."""
        low = text.strip().lower()
        m = re.fullmatch(r"rv(32|64|128)(.*)", low)
        if m is None:
            raise IsaError(f"ISA {text!r}: must begin with rv32 or rv64")
        if m[1] == "128":
            raise IsaError(f"ISA {text!r}: rv128 is not supported (rv32 and rv64 are)")
        xlen = int(m[1])
        names = _names(text, m[2])
        if not names or names[0] not in ("I", "G", "E"):
            raise IsaError(f"ISA {text!r}: the base after rv{xlen} must be i or g")
        if "G" in names:
            names = [*_G, *(n for n in names if n != "G")]
        have = set(supported())
        bad = [n for n in names if n not in have and n not in _GROUPS]
        if bad:
            what = ", ".join(n.lower() for n in dict.fromkeys(bad))
            raise IsaError(
                f"ISA {text!r}: {what} not supported; supported: "
                + " ".join(n.lower() for n in (*supported(), *_GROUPS))
            )
        if xlen == 64 and "Zcf" in names:
            raise IsaError(f"ISA {text!r}: zcf is for rv32 only")
        on = _closure(names, xlen) - set(_GROUPS) | set(_MODES)
        return cls(xlen, frozenset(on))

    @classmethod
    def full(cls, xlen: int) -> Isa:
        """Everything that is implemented, but for what only chooses between behaviours."""
        on = _closure(supported(), xlen) | set(_MODES)
        return cls(xlen, frozenset(on - _CHOICES - ({"Zcf"} if xlen == 64 else set())))

    def has(self, ext: str) -> bool:
        """Whether this ISA provides a row's extension: ``A+B`` needs both, ``A|B`` either."""
        return has_ext(ext, set(self.extensions))

    @property
    def bits(self) -> int:
        """The set as a u64, for the hart's slot ``isa``."""
        return sum(1 << extension_bit(e) for e in self.extensions)

    def __str__(self) -> str:
        implied = {i for e in self.extensions for i in _IMPLIES.get(e, ()) if e in ("M", "A", "C")}
        implied |= {"Zcf", "Zcd"} if "C" in self.extensions else set()
        names = sorted(self.extensions - implied - set(_MODES), key=_order)
        letters = "".join(n for n in names if len(n) == 1)
        return "_".join([f"rv{self.xlen}{letters}", *(n for n in names if len(n) > 1)]).lower()


def _names(text: str, rest: str) -> list[str]:
    """The extension names of the part after ``rv32``, in the order written."""
    names: list[str] = []
    at = 0
    while at < len(rest):
        if rest[at] == "_" and names:
            at += 1
            if at == len(rest) or rest[at] == "_":
                raise IsaError(f"ISA {text!r}: nothing after an underscore")
            continue
        multi = rest[at] in "zsx" and names != []
        m = (_MULTI if multi else _SINGLE).match(rest, at)
        if m is not None and multi:
            m = _MULTI.fullmatch(rest, at, _end(rest, at))
        if m is None:
            raise IsaError(f"ISA {text!r}: cannot read {rest[at : _end(rest, at) or len(rest)]!r}")
        name = m[1].upper() if not multi else m[1].capitalize()
        if name in names:
            raise IsaError(f"ISA {text!r}: {name.lower()} is there twice")
        if not multi and name not in _LETTERS:
            raise IsaError(f"ISA {text!r}: there is no extension {name.lower()}")
        if names and _order(name)[: 1 if multi else 2] < _order(names[-1])[: 1 if multi else 2]:
            raise IsaError(
                f"ISA {text!r}: {name.lower()} must come before {names[-1].lower()}"
                " (order: i m a f d c b, then z..., s..., x...)"
            )
        names.append(name)
        at = m.end()
    return names


def _end(rest: str, at: int) -> int:
    end = rest.find("_", at)
    return len(rest) if end < 0 else end
