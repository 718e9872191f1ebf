"""The devices, from tests: a button is pressed, a sensor warms."""

from __future__ import annotations

import gpio_button  # type: ignore[import-not-found]  # beside this file, which pytest knows
import i2c_sensor  # type: ignore[import-not-found]  # likewise
import pytest

ENGINES = ("python", "interp")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_button_lights_the_led(engine: str) -> None:
    machine, gpio = gpio_button.board(engine)
    with machine:
        machine.run(count=100)
        for down in (True, False, True):
            gpio.press(down)
            machine.run(timeout=0.001)
            assert gpio.outputs == down


@pytest.mark.parametrize("engine", ENGINES)
def test_a_warm_sensor_raises_the_alarm(engine: str) -> None:
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
