"""The examples in the API's docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import otoriscv.api

MODULES = [m.name for m in pkgutil.iter_modules(otoriscv.api.__path__, "otoriscv.api.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_main_classes_have_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for one in (otoriscv.api.Machine, otoriscv.api.Device):
        assert any(test.examples for test in finder.find(one))
