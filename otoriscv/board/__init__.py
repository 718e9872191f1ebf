"""The virt board: memory map, device tree, loaders, machine."""
