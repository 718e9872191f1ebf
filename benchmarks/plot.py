"""The benchmarks' plot: bars of the ratios, with matplotlib or as an SVG of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, Protocol

__all__ = ["Bar", "draw", "svg"]

_COLOURS: Final = ("#3b6ea5", "#d1495b", "#66a182", "#edae49", "#7d5ba6")
_HEIGHT: Final = 240
_LEFT: Final = 60
_LEGEND: Final = 110
_BAR: Final = 14
_GAP: Final = 24


class Bar(Protocol):
    """What is drawn: a kernel's ratios under one runner."""

    kernel: str
    variant: str
    runner: str

    @property
    def ratios(self) -> Sequence[float]:
        """Round by round."""


def draw(
    rows: Sequence[Bar], runners: Sequence[str], base: str, folder: Path, name: str = "plot"
) -> Path:
    """Draw the plot, with matplotlib where it is installed; the file."""
    if _matplotlib(rows, runners, base, folder / f"{name}.png"):
        return folder / f"{name}.png"
    file = folder / f"{name}.svg"
    file.write_text(svg(rows, runners, base) + "\n")
    return file


def _matplotlib(rows: Sequence[Bar], runners: Sequence[str], base: str, file: Path) -> bool:
    """False without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot

    variants = list(dict.fromkeys(row.variant for row in rows))
    figure, panels = pyplot.subplots(len(variants), 1, figsize=(10, 3.2 * len(variants)))
    for panel, variant in zip([panels] if len(variants) == 1 else panels, variants, strict=True):
        for index, runner in enumerate(runners):
            here = [row for row in rows if row.variant == variant and row.runner == runner]
            shift = (index - (len(runners) - 1) / 2) * 0.8 / len(runners)
            middle = [median(row.ratios) for row in here]
            errors = [
                [value - min(row.ratios) for value, row in zip(middle, here, strict=True)],
                [max(row.ratios) - value for value, row in zip(middle, here, strict=True)],
            ]
            places = [at + shift for at in range(len(here))]
            panel.bar(places, middle, 0.8 / len(runners), yerr=errors, capsize=2, label=runner)
            panel.set_xticks(range(len(here)), [row.kernel for row in here])
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_title(variant)
        panel.set_ylabel(f"speed, {base} = 1")
        panel.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    return True


def svg(rows: Sequence[Bar], runners: Sequence[str], base: str) -> str:
    """A panel for each variant; a bar's height is the median, its line from lowest to highest."""
    variants = list(dict.fromkeys(row.variant for row in rows))
    kernels = list(dict.fromkeys(row.kernel for row in rows))
    width = max(400, _LEFT + _LEGEND + 20 + (_BAR * len(runners) + _GAP) * len(kernels))
    height = _HEIGHT * len(variants)
    body: list[str] = []
    for n, variant in enumerate(variants):
        here = [row for row in rows if row.variant == variant and row.runner in runners]
        body += _panel(here, runners, f"{variant}: speed, {base} = 1", n * _HEIGHT, width)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11">'
    )
    paper = f'<rect width="{width}" height="{height}" fill="white"/>'
    return "\n".join([head, paper, *body, "</svg>"])


def _panel(
    rows: Sequence[Bar], runners: Sequence[str], title: str, top: int, width: int
) -> Iterator[str]:
    high, low = top + 30, top + _HEIGHT - 40
    most = max([1.0, *(ratio for row in rows for ratio in row.ratios)])

    def y(ratio: float) -> float:
        return low - (low - high) * ratio / most

    yield _text(_LEFT, high - 12, title)
    for mark in sorted({0.0, 1.0, most}):
        at = f'y1="{y(mark):.1f}" y2="{y(mark):.1f}"'
        yield f'<line x1="{_LEFT}" x2="{width - _LEGEND - 20}" {at} stroke="#999"/>'
        yield _text(_LEFT - 34, y(mark) + 4, f"{mark:.3g}")
    for n, name in enumerate(dict.fromkeys(row.kernel for row in rows)):
        left = _LEFT + 12 + (_BAR * len(runners) + _GAP) * n
        yield _text(left, low + 16, name)
        for row in rows:
            if row.kernel != name:
                continue
            k = runners.index(row.runner)
            x, up = left + _BAR * k, y(median(row.ratios))
            size = f'width="{_BAR - 2}" height="{low - up:.1f}"'
            yield f'<rect x="{x}" y="{up:.1f}" {size} fill="{_COLOURS[k % len(_COLOURS)]}"/>'
            ends = f'y1="{y(min(row.ratios)):.1f}" y2="{y(max(row.ratios)):.1f}"'
            yield f'<line x1="{x + 6}" x2="{x + 6}" {ends} stroke="black"/>'
    for k, runner in enumerate(runners):
        yield _text(width - _LEGEND, high + 16 * k, runner, _COLOURS[k % len(_COLOURS)])


def _text(x: float, y: float, text: str, colour: str = "black") -> str:
    return f'<text x="{x:.0f}" y="{y:.1f}" fill="{colour}">{text}</text>'
