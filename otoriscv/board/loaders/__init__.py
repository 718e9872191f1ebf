"""Loaders: ELF, Intel HEX and raw images, compressed or not."""

from otoriscv.board.loaders.image import Image, ImageError, Segment, fit
from otoriscv.board.loaders.load import load_image
from otoriscv.board.loaders.symbols import Symbol, SymbolTable

__all__ = [
    "Image",
    "ImageError",
    "Segment",
    "Symbol",
    "SymbolTable",
    "fit",
    "load_image",
]
