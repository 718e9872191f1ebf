"""Devices of the virt board. Each knows only small protocols, never the machine."""
