"""Folding keeps the meaning: comparisons of extended values as those of the narrow ones."""

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
