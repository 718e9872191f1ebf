"""What of a device belongs into a snapshot."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

__all__ = ["StateError", "Stateful"]


class StateError(Exception):
    """A device's state cannot be saved, or not be restored here; one line that says why."""


class Stateful:
    """A device whose state is some of its attributes: numbers, text, and containers of them."""

    STATE: ClassVar[tuple[str, ...]] = ()

    def saved_names(self) -> tuple[str, ...]:
        """The attributes that make up the state."""
        return self.STATE

    def save(self) -> dict[str, Any]:
        """A copy of the state."""
        return {name: copy.deepcopy(getattr(self, name)) for name in self.saved_names()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave, perhaps in another process."""
        for name, value in state.items():
            now = getattr(self, name, None)
            # JSON knows one kind of sequence
            value = copy.deepcopy(value)
            if isinstance(value, list) and now is not None:
                value = type(now)(value)
            setattr(self, name, value)
