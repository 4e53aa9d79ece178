"""Programme loudness as in ITU-R BS.1770-4 and EBU R 128, by FFmpeg's `ebur128` filter in process.

Momentary loudness every 100 ms comes with it: its 400 ms windows are the gating blocks of the
integrated loudness, so the effect of a gain curve on the integrated figure can be computed without
measuring again.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from studio.audio import Samples
from studio.types import SAMPLE_RATE

SILENT_LUFS = -70.0
"""The absolute gate: what is quieter does not count, and a programme of it has no loudness."""

WINDOW = 4800
"""Samples between two momentary values: 100 ms, a quarter of a gating block."""

_ALIVE = np.float32(1e-9)
"""A constant of -180 dB added to what is measured, far below the gate. In digital silence the
filter's states would decay into subnormal numbers, which take it three times as long.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """Integrated loudness in LUFS (`SILENT_LUFS` for silence), true peak in dBTP (None when it was
    not asked for), momentary loudness in LUFS at every 100 ms.
    """

    integrated_lufs: float
    true_peak_dbtp: float | None
    momentary_lufs: NDArray[np.float64]


class LoudnessMeter:
    """Measures a stream of blocks at `SAMPLE_RATE`, mono or stereo.

    The filter reads a file of under 400 ms as silent; such a one is measured as if its sound went
    on: `finish` repeats it.
    """

    def __init__(self, num_channels: int, *, true_peak: bool = False) -> None:
        self._layout = "mono" if num_channels == 1 else "stereo"
        self._true_peak = true_peak
        self._position = 0
        self._momentary: list[float] = []
        self._integrated = SILENT_LUFS
        self._peak = 0.0
        self._head: list[Samples] = []
        self._graph = Graph()
        source: Any = self._graph.add_abuffer(
            sample_rate=SAMPLE_RATE,
            format="flt",
            layout=self._layout,
            time_base=Fraction(1, SAMPLE_RATE),
        )
        peak = "true" if true_peak else "none"
        # The filter's own console report costs nothing at this level and is off.
        meter = self._graph.add("ebur128", f"metadata=1:framelog=quiet:peak={peak}")
        sink = self._graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        self._graph.configure()

    def push(self, block: Samples) -> None:
        """Measure the next samples, `(n,)` or `(n, channels)`."""
        if not len(block):
            return
        if self._position < 4 * WINDOW:
            self._head.append(block[: 4 * WINDOW])
        packed = (np.asarray(block, np.float32) + _ALIVE).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._position
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._position += len(block)
        self._graph.push(frame)
        self._pull()

    def finish(self) -> Loudness:
        """The figures of everything pushed."""
        if 0 < self._position < 4 * WINDOW:
            once = np.concatenate(self._head)
            self.push(np.concatenate([once] * (4 * WINDOW // len(once) + 2)))
        self._graph.push(None)
        self._pull()
        peak_db = 20.0 * np.log10(max(self._peak, 1e-6)) if self._true_peak else None
        return Loudness(
            integrated_lufs=self._integrated,
            true_peak_dbtp=None if peak_db is None else float(peak_db),
            momentary_lufs=np.array(self._momentary, np.float64),
        )

    def _pull(self) -> None:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            figures = frame.metadata
            if "lavfi.r128.M" in figures:
                self._momentary.append(_number(figures["lavfi.r128.M"]))
                self._integrated = max(SILENT_LUFS, _number(figures["lavfi.r128.I"]))
            if "lavfi.r128.true_peak" in figures:
                self._peak = max(self._peak, float(figures["lavfi.r128.true_peak"]))


def _number(text: str) -> float:
    value = float(text)
    return value if np.isfinite(value) else -120.0


def measure_loudness(samples: Samples, *, true_peak: bool = False) -> Loudness:
    """The loudness of a whole array `(n,)`, `(n, 1)` or `(n, 2)` at `SAMPLE_RATE`."""
    meter = LoudnessMeter(1 if samples.ndim == 1 else samples.shape[1], true_peak=true_peak)
    for first in range(0, len(samples), SAMPLE_RATE):
        meter.push(samples[first : first + SAMPLE_RATE])
    return meter.finish()
