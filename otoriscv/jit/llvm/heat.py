"""How hot places are, as samples tell, which are rewritten, and which wait for a worker.

A place is an arena offset; as a *mark*, with bit 0 set for translated code. Samples are counted by
the 16 bytes that a place is in. The steps that they stand for are summed by its KiB, and fade.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from otoriscv.jit.llvm.exits import SAMPLE_EXIT

__all__ = ["Heat", "Hot"]

#: Steps after which what was seen counts half when the hottest place is chosen: guests have phases.
FADING: Final = 1 << 27
#: What is less when it fades is forgotten.
COLD: Final = 1 << 13
#: Places of which samples are counted.
PLACES: Final = 1 << 14
#: Places that wait, about.
WAITING: Final = 32
#: How often code of 256 bytes may be rewritten lately before it stays interpreted.
REWRITES: Final = 8


class Hot(NamedTuple):
    """A place to compile, where it is as the guest sees it, and the kind of the last sample."""

    pc: int
    mark: int
    kind: int


def _block(mark: int) -> int:
    """The KiB that a place is in."""
    return mark & ~1023 | mark & 1


def _near(mark: int) -> int:
    """The 16 bytes that a place is in."""
    return mark & ~15 | mark & 1


class Heat:
    """The hot places of one machine."""

    def __init__(self) -> None:
        self._samples: Counter[int] = Counter()
        # Steps that samples outside of regions stand for.
        self._steps: Counter[int] = Counter()
        # Regions that the guest's stores dropped, by 256 bytes of memory.
        self._rewrites: Counter[int] = Counter()
        self._faded = 0  # when these two were halved last, in steps
        # What waits for a worker, in no region and in some.
        self._fresh: dict[int, Hot] = {}
        self._again: dict[int, Hot] = {}
        self._compiling: set[int] = set()
        self._patient = 0  # nothing was worth it: the step at which to look again

    def __bool__(self) -> bool:
        """Whether anything waits or is being compiled."""
        return bool(self._fresh or self._again or self._compiling)

    # -- samples

    def add(self, mark: int, steps: int = 0) -> int:
        """Count a sample around a place that stands for *steps* outside of regions; how many there
        were."""
        if steps:
            self._steps[_block(mark)] += steps
        near = _near(mark)
        self._samples[near] += 1
        return self._samples[near]

    def samples(self, mark: int) -> int:
        """Samples around a place."""
        return self._samples[_near(mark)]

    def steps(self, mark: int) -> int:
        """Steps spent lately around a place, outside of regions."""
        return self._steps[_block(mark)]

    def forget(self, mark: int) -> None:
        """Count samples around a place from nothing."""
        del self._samples[_near(mark)]

    def cool(self, marks: set[int]) -> None:
        """A region covers these places now: samples in them, and who waits for one, are from before
        it. Only new ones tell that a second region is worth it."""
        for near in {_near(mark) for mark in marks}:
            del self._samples[near]
            self._fresh.pop(near, None)

    def rewrite(self, mark: int) -> None:
        """The guest's stores dropped a region there."""
        self._rewrites[mark >> 8] += 1

    def rewritten(self, mark: int) -> bool:
        """Whether code around a place is rewritten too often to be compiled."""
        return self._rewrites[mark >> 8] > REWRITES

    def fade(self, now: int) -> None:
        """Let what was hot long ago weigh less than what is hot now, at step *now*."""
        if now - self._faded >= FADING:
            self._faded = now
            halved = {block: n >> 1 for block, n in self._steps.items() if n >= COLD}
            self._steps = Counter(halved)
            # Memory is used again: what was a loop that patches itself may be a library by now.
            self._rewrites = Counter(
                {lines: n >> 1 for lines, n in self._rewrites.items() if n > 1}
            )
        if len(self._samples) > PLACES:  # what was seen once in a long run
            kept = {n: c for n, c in self._samples.items() if c > 1 or self._asked(n)}
            self._samples = Counter(kept)

    # -- who waits

    def asked(self, mark: int) -> bool:
        """Whether something around a place waits for a worker or is being compiled."""
        return self._asked(_near(mark))

    def _asked(self, near: int) -> bool:
        return near in self._fresh or near in self._again or near in self._compiling

    def wait(self, hot: Hot, *, fresh: bool) -> None:
        """Let a place wait; *fresh*: there is no region yet."""
        waiting = self._fresh if fresh else self._again
        waiting[_near(hot.mark)] = hot
        if len(waiting) > 2 * WAITING:
            for near in sorted(waiting, key=self._rank if fresh else self._urgency)[:WAITING]:
                del waiting[near]

    def take(self, now: int, worth: int) -> Hot | None:
        """Who is next, at step *now*: the hottest place in no region, if *worth* steps were spent
        there, before those that regions left or entered elsewhere."""
        if now >= self._patient:
            near = max(self._fresh, key=self._rank, default=None)
            if near is not None and self._rank(near) >= worth:
                return self._fresh.pop(near)
            self._patient = now + worth
        near = max(self._again, key=self._urgency, default=None)
        return None if near is None else self._again.pop(near)

    def _rank(self, near: int) -> int:
        return self._steps[_block(near)]

    def _urgency(self, near: int) -> tuple[bool, int]:
        """What the interpreter has to do, which is short, comes before regions that grow."""
        return self._again[near].kind == SAMPLE_EXIT, self._samples[near]

    def hottest(self) -> list[Hot]:
        """Who waits and is interpreted, the hottest first, but not all."""
        again = self._again
        exits = sorted(again, key=self._urgency, reverse=True)
        left = [again[near] for near in exits if again[near].kind == SAMPLE_EXIT]
        fresh = sorted(self._fresh, key=self._rank, reverse=True)
        return [*(self._fresh[near] for near in fresh), *left][:WAITING]

    def begin(self, mark: int) -> None:
        """A place is being compiled."""
        self._compiling.add(_near(mark))

    def end(self, mark: int) -> None:
        """It is not any more."""
        self._compiling.discard(_near(mark))
        self.forget(mark)
