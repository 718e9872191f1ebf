"""Virtio devices (OASIS virtio 1.2) behind the memory-mapped transport."""
