"""Reading and decoding is told as waiting for input, by the stages and as the verdict reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from studio.audio import decode_audio, write_flac
from studio.ffmpeg import try_encoder
from studio.gpu.cards import survey
from studio.gpu.causes import phase_seconds
from studio.gpu.ledger import Ledger
from studio.gpu.meter import Meter
from studio.gpu.running import Running
from studio.gpu.verdict import judge
from studio.specs import EncodeSpec, PictureSpec
from studio.store import Store
from studio.types import SAMPLE_RATE
from tasks.encode import Show, encode_episode
from tasks.intake import fed, reading
from tasks.run import RUNNING
from tests.studio.gpu.fake_nvml import FakeCard, FakeNvml
from tests.tasks.small_episode import shared_contents, shared_store


@contextmanager
def stage(meter: Meter, name: str) -> Iterator[Running]:
    """A metered stage, as `tasks.stage` runs one."""
    with meter.stage(name) as running:
        token = RUNNING.set(running)
        try:
            yield running
        finally:
            RUNNING.reset(token)


def noise_film(path: Path, num_frames: int) -> None:
    """Large frames that share nothing: slow to decode, as a camera's film is."""
    draw = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.options = {"preset": "ultrafast", "crf": "12"}
        for number in range(num_frames):
            pixels = draw.integers(0, 256, (360, 640, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_items_come_as_they_are_and_outside_a_stage_nothing_is_told() -> None:
    assert list(fed(iter([1, None, 3]))) == [1, None, 3]
    assert list(fed([])) == []
    with reading():
        pass


def test_only_the_wait_for_an_item_is_told_not_the_work_on_it() -> None:
    def slow() -> Iterator[int]:
        for number in range(3):
            time.sleep(0.02)
            yield number

    with Meter() as meter, stage(meter, "mix"):
        for _ in fed(slow()):
            time.sleep(0.05)
    (span,) = meter.trace().spans
    told = phase_seconds(span, ("input",))
    assert {phase.kind for phase in span.phases} == {"input"}
    assert 0.06 <= told <= span.wall_s - 0.15


def test_a_film_behind_the_hosts_is_input_of_the_encode(tmp_path: Path) -> None:
    film = tmp_path / "camera.mp4"
    noise_film(film, 6)
    store, contents = shared_store(), shared_contents()
    show = Show(title="", speech=contents.speech, mix=contents.mix)
    picture = PictureSpec(quality="480p", fps=5, background=str(film), visualizer=None)
    trial = try_encoder("pyav:libx264")
    with Meter() as meter, stage(meter, "encode"):
        encode_episode(show, picture, EncodeSpec(preset="ultrafast"), trial, store=store)
    (span,) = meter.trace().spans
    told = phase_seconds(span, ("input",))
    assert 0.0 < told < span.wall_s
    assert len(span.phases) > shared_contents().mix.num_samples // SAMPLE_RATE


def test_a_card_that_waits_for_a_stage_that_decodes_is_idle_for_that_reason(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "store")
    draw = np.random.default_rng(7)
    with store.draft(".flac") as draft:
        write_flac(draft.path, draw.uniform(-0.5, 0.5, (480_000, 2)).astype(np.float32))
    recording = store.path(draft.taken())
    nvml = FakeNvml(FakeCard(gpu=2))
    found = survey(nvml, {})
    ledger = Ledger(tmp_path / "ledger", found.cards)
    with (
        Meter(found.cards, nvml=nvml, sample_hz=20.0) as meter,
        stage(meter, "music") as running,
        ledger.lend(stage="music", need_gib=2.0) as lease,
    ):
        running.holds(lease)
        for _ in range(20):
            for _ in fed(decode_audio(recording)):
                pass
    (card,) = judge(meter.trace()).cards
    assert card.finding == "input"
    assert "reads or waits for its input" in card.sentence
    (first, *_) = judge(meter.trace()).changes
    assert first.what == "have the input of music ready sooner: read and decode it ahead"
    (span,) = meter.trace().spans
    assert first.saves_s == pytest.approx(phase_seconds(span, ("input",)))
