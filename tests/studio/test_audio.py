"""Sound as arrays: exact lengths, true levels, any recording, readable errors."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.audio import Samples, decibels, decode_audio, gain, read_flac, resample, write_flac
from studio.errors import MediaError


def _tone(num_samples: int, rate: int, hz: float = 440.0) -> Samples:
    phase = 2 * np.pi * hz * np.arange(num_samples) / rate
    return (0.5 * np.sin(phase)).astype(np.float32)


@given(st.floats(min_value=-119, max_value=24))
def test_decibels_undo_gain(level_db: float) -> None:
    assert decibels(gain(level_db)) == pytest.approx(level_db, abs=1e-6)


def test_silence_is_a_level() -> None:
    assert decibels(0.0) == -120.0


@settings(max_examples=25, deadline=None)
@given(
    st.integers(min_value=1, max_value=9000),
    st.sampled_from([8000, 16000, 22050, 24000, 32000, 44100, 96000]),
    st.booleans(),
)
def test_resampling_gives_exactly_the_rounded_length(num: int, rate: int, stereo: bool) -> None:
    samples = _tone(num, rate)
    given_samples = np.stack([samples, -samples], axis=1) if stereo else samples
    out = resample(given_samples, rate)
    assert len(out) == round(num * 48000 / rate)
    assert out.ndim == given_samples.ndim
    assert out.dtype == np.float32


def test_resampling_keeps_the_tone() -> None:
    out = resample(_tone(22050, 22050), 22050)
    want = _tone(48000, 48000)
    assert np.abs(out - want)[500:-500].max() < 1e-4


def test_flac_keeps_every_sample(tmp_path: Path) -> None:
    stereo = np.stack([_tone(1000, 48000), _tone(1000, 48000, 880)], axis=1)
    write_flac(tmp_path / "a.flac", stereo)
    assert np.abs(read_flac(tmp_path / "a.flac") - stereo).max() < 2**-23
    assert np.array_equal(
        read_flac(tmp_path / "a.flac", 100, 50), read_flac(tmp_path / "a.flac")[100:150]
    )


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_any_recording_becomes_stereo_at_48_khz(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a name with spaces{suffix}"
    soundfile.write(path, _tone(44100, 44100), 44100)
    whole = np.concatenate(list(decode_audio(path)))
    assert whole.shape[1] == 2
    # FFmpeg's Vorbis decoder drops the 128 samples that its first window cannot complete.
    assert abs(len(whole) - 48000) <= (140 if suffix == ".ogg" else 2)
    rest = np.concatenate(list(decode_audio(path, 0.25)))
    assert len(whole) - len(rest) == 12000
    assert np.array_equal(whole[12000:], rest)


def test_a_recording_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "empty.wav").write_bytes(b"")
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)):
            container.mux(packet)
    for name in ("noise.mp3", "empty.wav", "mute.mp4", "absent.wav"):
        with pytest.raises(MediaError) as caught:
            list(decode_audio(tmp_path / name))
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
