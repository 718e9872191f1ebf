"""The benchmark kernels build, and the harness's arithmetic is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import suite
from benchmarks.run import Row, geometric_mean, run_engine, run_qemu, table
from otoriscv.tools import find_cc, find_qemu

needs_cc = pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)
needs_qemu = pytest.mark.skipif(not find_qemu().usable, reason=find_qemu().reason)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernels are built."""
    return tmp_path_factory.mktemp("kernels")


@needs_cc
@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize("variant", ["rv32imac", "rv64imac"])
@pytest.mark.parametrize("name", suite.KERNELS)
def test_a_short_run_of_every_kernel_prints_qemus_checksum(
    images: Path, name: str, variant: str
) -> None:
    kernel = suite.build(name, variant, images, scale=0.001)
    wanted = run_qemu(kernel, 60).checksum
    assert wanted.startswith("checksum ")
    run = run_engine("auto", kernel, 60)
    assert run.checksum == wanted
    assert int(run.stats["instructions"]) > 1000


def test_the_table_has_medians_and_the_geometric_mean() -> None:
    rows = []
    for kernel, ours in (("fast", [1.0, 2.0, 4.0]), ("slow", [8.0, 8.0, 8.0])):
        rows.append(Row(kernel, "rv32imac", "qemu", 4_000_000, [2.0, 2.0, 2.0]))
        ratios = [2.0 / seconds for seconds in ours]
        rows.append(Row(kernel, "rv32imac", "interp", 4_000_000, ours, ours, ratios))
    text = table(rows, ["interp"])
    assert "| fast | 4 M | 2 | 2 | 1 (0.5-2) |" in text
    assert "| slow | 4 M | 2 | 0.5 | 0.25 (0.25-0.25) |" in text
    assert "**0.5** |" in text
    assert geometric_mean([1, 4]) == pytest.approx(2)
    assert geometric_mean([]) == 0


@needs_cc
def test_a_kernel_is_not_built_twice(images: Path) -> None:
    first = suite.build("fib", "rv32imac", images, scale=0.001).image
    stamp = first.stat().st_mtime_ns
    assert suite.build("fib", "rv32imac", images, scale=0.001).image.stat().st_mtime_ns == stamp
