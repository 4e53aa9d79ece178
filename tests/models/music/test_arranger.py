"""The arranger's music, measured: tempo, colour, mode, drums, level, seams, repeatability."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest

from models.music import PIECE_LUFS
from models.music.arranger import room
from studio.types import SAMPLE_RATE
from tests.models.music.listening import (
    Sound,
    centroid_hz,
    chroma,
    composed,
    heard,
    largest_click,
    onsets,
    spectrum,
    tempo_bpm,
)

ROOT = Path(__file__).parents[3]

SOUNDS = {
    "bed": ("soft piano + light synth pulse, underlay", 14.0),
    "drums": ("upbeat electronic with drums, 120 bpm, in C major", 11.0),
    "slow": ("slow sad strings, 60 bpm, in C minor, no drums", 10.0),
    "guitar": ("warm acoustic guitar", 8.0),
    "sting": ("bright sting", 2.0),
    "three": ("dark suspense", 3.0),
    "intro": ("jazz trio intro, walking bass and brushes", 6.0),
}


@cache
def sound(name: str) -> Sound:
    prompt, seconds = SOUNDS[name]
    return heard(prompt, seconds)


@pytest.mark.parametrize("name", SOUNDS)
def test_music_is_publishable(name: str) -> None:
    """Length, headroom, no clicks, no offset, stereo that survives mono, an end in silence."""
    music = sound(name)
    assert music.shape == (round(SOUNDS[name][1] * SAMPLE_RATE), 2)
    assert music.dtype == np.float32
    assert np.isfinite(music).all()
    assert np.abs(music).max() < 10 ** (-3 / 20)
    assert np.abs(music.mean(axis=0)).max() < 1e-4
    assert largest_click(music) < 8
    assert np.abs(music[:24]).max() < 0.02
    assert np.abs(music[-24:]).max() < 1e-3
    middle = np.mean(music.sum(axis=1) ** 2)
    side = np.mean((music[:, 0] - music[:, 1]) ** 2)
    assert -24 < 10 * np.log10(side / middle) < -2


@pytest.mark.parametrize("name", SOUNDS)
def test_the_loudness_is_what_a_piece_has(name: str) -> None:
    """Measured by ffmpeg's ebur128, not by the composer's own meter."""
    assert loudness_by_ffmpeg(sound(name)) == pytest.approx(PIECE_LUFS, abs=2.5)


def test_own_meter_agrees_with_ffmpeg() -> None:
    for name in ("bed", "drums", "slow"):
        ours = room.loudness_lufs(sound(name))
        assert ours == pytest.approx(loudness_by_ffmpeg(sound(name)), abs=0.15)


def test_the_click_detector_hears_clicks() -> None:
    music = sound("bed").copy()
    music[5 * SAMPLE_RATE :] += 0.02
    assert largest_click(music) > 8


def test_words_set_the_tempo() -> None:
    candidates = [60.0, 75.0, 87.0, 95.0, 103.0, 111.0, 120.0, 133.0]
    assert tempo_bpm(sound("drums"), candidates) in {60.0, 120.0}
    asked = heard("acoustic guitar with drums, 95 bpm", 11.0)
    assert tempo_bpm(asked, candidates) == 95.0


def test_words_set_the_mode() -> None:
    major, minor = chroma(sound("drums")), chroma(sound("slow"))
    assert major[4] > 3 * major[3]
    assert minor[3] > 3 * minor[4]
    for classes in (major, minor):
        assert classes[[0, 7]].sum() > 0.2


def test_words_set_the_drums() -> None:
    with_drums, without = heard("pop with drums", 8.0), heard("pop, no drums", 8.0)
    assert high_share(with_drums) > 5 * high_share(without)
    assert onsets(with_drums).max() > 0


def test_words_set_the_colour() -> None:
    assert centroid_hz(heard("dark muted piano", 8.0)) * 1.3 < centroid_hz(
        heard("bright sparkling piano", 8.0)
    )


def test_a_bed_makes_room_for_speech() -> None:
    """The same piece as a bed has less between 1 and 4 kHz than as a theme."""

    def presence(music: Sound) -> float:
        freq, power = spectrum(music)
        return float(power[(freq > 1_000) & (freq < 4_000)].sum() / power.sum())

    bed, theme = (np.abs(room.equaliser(24_001, bed, 0.5)) for bed in (True, False))
    assert 20 * np.log10(bed[2_000] / theme[2_000]) == pytest.approx(-4.0, abs=0.01)
    assert 20 * np.log10(bed[200] / theme[200]) == pytest.approx(0.0, abs=0.2)
    assert presence(sound("bed")) < 0.06


def test_a_short_cue_is_a_whole_gesture() -> None:
    """Two seconds: it rises to a chord in the first half and has rung out at the end."""
    for name in ("sting", "three"):
        music = sound(name)
        level = np.sqrt(np.mean(music[: len(music) // 20 * 20].reshape(20, -1) ** 2, axis=1))
        assert 1 <= int(level.argmax()) <= 12
        assert level[-1] < 0.05 * level.max()
        assert level[0] > 0.02 * level.max()


def test_the_end_is_the_tonic() -> None:
    for prompt in ("upbeat pop in C major", "sad piano in C minor", "calm ambient in C major"):
        music = heard(prompt, 8.0)
        last = chroma(music[-2 * SAMPLE_RATE : -SAMPLE_RATE // 2])
        third = 3 if "minor" in prompt else 4
        assert last[[0, third, 7]].sum() > 0.8, prompt
        assert last[0] > 0.15, prompt


def test_a_bed_builds_up() -> None:
    music = heard("happy pop with drums bed", 32.0)
    assert high_share(music[: 4 * SAMPLE_RATE]) < 0.3 * high_share(music[20 * SAMPLE_RATE :])


def test_the_same_seed_the_same_samples_in_another_process() -> None:
    code = (
        "import hashlib; from tests.models.music.listening import heard; "
        "print(hashlib.sha256(heard('lofi beat', 6.0, 5).tobytes()).hexdigest())"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256(heard("lofi beat", 6.0, 5).tobytes()).hexdigest()
    assert there.stdout.strip() == here
    assert hashlib.sha256(heard("lofi beat", 6.0, 6).tobytes()).hexdigest() != here


def test_an_hour_is_composed_bar_by_bar() -> None:
    bars = iter(composed("ambient pad", 3600.0).chunks)
    first = next(bars)
    assert len(first) < 60 * SAMPLE_RATE


def high_share(music: Sound) -> float:
    freq, power = spectrum(music)
    return float(power[freq > 5_000].sum() / power.sum())


def loudness_by_ffmpeg(music: Sound) -> float:
    """Integrated loudness by FFmpeg's ebur128; three copies, since it needs seconds to settle."""
    copies = np.concatenate([music] * (3 if len(music) < 5 * SAMPLE_RATE else 1))
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="flt", layout="stereo", time_base=None
    )
    meter = graph.add("ebur128", "metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    loudness = -70.0
    for start in range(0, len(copies), 4_800):
        packed = np.ascontiguousarray(copies[start : start + 4_800]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        frame.pts = start
        graph.push(frame)
        while True:
            try:
                out = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                break
            loudness = float(out.metadata.get("lavfi.r128.I", loudness))
    return loudness
