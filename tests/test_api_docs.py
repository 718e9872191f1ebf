"""The examples in the API's docstrings, and the devices in examples/."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import otoriscv.api
from examples import gpio_button, i2c_sensor
from tests.board_guest import ENGINES

MODULES = [m.name for m in pkgutil.iter_modules(otoriscv.api.__path__, "otoriscv.api.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_main_classes_have_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for one in (otoriscv.api.Machine, otoriscv.api.Device):
        assert any(test.examples for test in finder.find(one))


@pytest.mark.parametrize("engine", ENGINES)
def test_gpio_button(engine: str) -> None:
    machine, gpio = gpio_button.board(engine)
    with machine:
        machine.run(count=100)
        for down in (True, False, True):
            gpio.press(down)
            machine.run(timeout=0.001)
            assert gpio.outputs == down


@pytest.mark.parametrize("engine", ENGINES)
def test_i2c_sensor(engine: str) -> None:
    sensor = i2c_sensor.Thermometer(20)
    with i2c_sensor.board(sensor, engine) as machine:
        machine.run(timeout=0.001)
        saved = machine.save()  # in the middle of a transfer
        assert machine.output == ""
        sensor.degrees = 31
        machine.expect("!")
        first = machine.seconds, machine.retired
        machine.restore(saved)
        machine.expect("!")
        assert (machine.seconds, machine.retired) == first


@pytest.mark.parametrize("example", [gpio_button, i2c_sensor])
def test_examples_run(example: object, capsys: pytest.CaptureFixture[str]) -> None:
    example.main()  # type: ignore[attr-defined]  # a module
    assert "at " in capsys.readouterr().out
