"""Folding keeps the meaning, whatever is put together."""

from __future__ import annotations

import random

from otoriscv.core.fold import evaluate
from otoriscv.core.uop import Builder, Value


def value(node: Value, params: tuple[int, int]) -> int:
    """What a pure node is worth."""
    args = [value(a, params) for a in node.args if isinstance(a, Value)]
    if node.op == "param":
        return params[1 if node.args[0] else 0]
    if node.const is not None:
        return node.const
    first = node.args[0]
    assert isinstance(first, Value)
    return evaluate(node.op, node.width, *args, arg_width=first.width)


def test_comparisons_of_extended_values() -> None:
    rng = random.Random(1)
    narrowed = 0
    for _ in range(5000):
        b = Builder(64)
        width = rng.choice((1, 8, 16, 32))
        how, op = rng.choice(("sext", "zext")), rng.choice(("eq", "ltu", "lts"))
        top = 1 << (width - 1)
        x, y = (rng.choice((0, 1, top - 1, top, 2 * top - 1)) for _ in range(2))
        wide = [evaluate(how, 64, v, arg_width=width) for v in (x, y)]
        left = b.emit(how, 64, b.emit("param", width, 0))
        if rng.random() < 0.5:
            wide[1] = rng.choice((0, wide[1], rng.getrandbits(64), (1 << 64) - 1, top))
            right = b.const(wide[1], 64)
        else:
            right = b.emit(how, 64, b.emit("param", width, 1))
        node = b.emit(op, 1, left, right)
        assert value(node, (x, y)) == evaluate(op, 1, *wide, arg_width=64), (how, op, width)
        first = node.args[0]
        narrowed += isinstance(first, Value) and first.width == width
    assert narrowed > 1000


_WIDTHS = (1, 8, 16, 32, 64)
_MASKS = ("and", "or", "xor", "shr")
_SAME = (*_MASKS, "add", "sub", "mul", "shl", "sar", "divu", "remu")


class Expressions:
    """Grows values of two parameters: as nodes, and what each is worth without folding."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.b = Builder(64)
        self.widths = rng.choice(_WIDTHS), rng.choice(_WIDTHS)
        self.params = [tuple(self.number(w) for w in self.widths) for _ in range(4)]
        self.known = [
            (self.b.emit("param", w, n), [values[n] for values in self.params])
            for n, w in enumerate(self.widths)
        ]

    def number(self, width: int) -> int:
        """One that folding may look for: a mask, a shift, a bit; or any."""
        rng = self.rng
        ones = (1 << width) - 1
        low = (1 << rng.choice(_WIDTHS)) - 1
        near = rng.choice(_WIDTHS) - rng.randrange(2)
        return rng.choice((0, 1, ones, low, ~low, near, near, near, 1 << rng.randrange(64),
                           rng.randrange(64), rng.getrandbits(64))) & ones  # fmt: skip

    def constant(self, width: int) -> tuple[Value, list[int]]:
        n = self.number(width)
        return self.b.const(n, width), [n] * len(self.params)

    def any(self, width: int) -> tuple[Value, list[int]]:
        """A value of that width, lately made if there is one, or a constant."""
        found = [each for each in self.known if each[0].width == width][-3:]
        if not found or self.rng.random() < 0.5:
            return self.constant(width)
        return self.rng.choice(found)

    def widened(self, width: int) -> tuple[Value, list[int]]:
        """One that was narrower, if there is one."""
        found = [each for each in self.known if each[0].width < width]
        if not found:
            return self.any(width)
        node, numbers = self.rng.choice(found)
        op = self.rng.choice(("zext", "sext"))
        worth = [evaluate(op, width, n, arg_width=node.width) for n in numbers]
        return self.b.emit(op, width, node), worth

    def grow(self) -> None:
        """One operation more, on the last value as a rule."""
        rng = self.rng
        first = self.known[-1] if rng.random() < 0.7 else rng.choice(self.known)
        width = first[0].width
        args = [first]
        kind = rng.random()
        to = rng.choice(_WIDTHS)
        if kind < 0.3 and to != width:
            op, result = ("trunc" if to < width else rng.choice(("zext", "sext"))), to
        elif kind < 0.45:
            op, result = rng.choice(("eq", "ltu", "lts")), 1
            args.append(self.widened(width) if rng.random() < 0.5 else self.any(width))
            if rng.random() < 0.3:
                args[0] = self.widened(width)
        elif kind < 0.75:
            op, result = rng.choice(_MASKS), width
            args.append(self.constant(width))
        elif kind < 0.8:
            op, result = "select", width
            args = [self.any(1), first, self.any(width)]
        else:
            op, result = rng.choice(_SAME), width
            args.append(self.any(width))
            if op in ("add", "and", "or", "xor", "mul") and rng.random() < 0.3:
                args.reverse()
        of = 0 if op == "select" else args[0][0].width
        worth = [
            evaluate(op, result, *numbers, arg_width=of)
            for numbers in zip(*(numbers for _, numbers in args), strict=True)
        ]
        self.known.append((self.b.emit(op, result, *(node for node, _ in args)), worth))


def test_any_expression() -> None:
    rng = random.Random(7)
    for _ in range(20_000):
        made = Expressions(rng)
        for _ in range(rng.randrange(2, 9)):
            made.grow()
            node, worth = made.known[-1]
            found = [value(node, (one, two)) for one, two in made.params]
            assert found == worth, node
