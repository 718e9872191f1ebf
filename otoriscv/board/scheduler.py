"""Events in guest time: callbacks of devices, in an order that is the same in every run."""

from __future__ import annotations

import heapq
from collections.abc import Callable

__all__ = ["Scheduler"]


def _order(event: tuple[int, int, Callable[[], None]]) -> tuple[int, int]:
    return event[:2]


class Scheduler:
    """A queue of callbacks by instant. What an instant counts is the owner's business.

    Events of one instant run in the order in which they were added.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, instant: int, callback: Callable[[], None]) -> None:
        """Call *callback* once, when *instant* is reached."""
        heapq.heappush(self._heap, (instant, self._added, callback))
        self._added += 1

    @property
    def next(self) -> int | None:
        """The instant of the next event."""
        return self._heap[0][0] if self._heap else None

    def run_due(self, now: int) -> bool:
        """Call everything that is due at *now*; False when there was nothing."""
        if not self._heap or self._heap[0][0] > now:
            return False
        while self._heap and self._heap[0][0] <= now:
            heapq.heappop(self._heap)[2]()
        return True

    def pending(self) -> list[tuple[int, Callable[[], None]]]:
        """(instant, callback) of every event, in the order in which they will run."""
        return [(instant, callback) for instant, _, callback in sorted(self._heap, key=_order)]

    def clear(self) -> None:
        """Forget every event."""
        self._heap.clear()
