"""Every instrument: in tune, even in level, ending in silence, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from models.music.arranger import drums, instruments, percussion, styles
from models.music.arranger.parts import PATTERNS
from models.music.arranger.words import LEADS, PADS, PLAYABLE
from studio.types import SAMPLE_RATE

LOW = {"round", "upright", "synth", "sub", "cellos"}
OCTAVE = {"bell": 12}
ENSEMBLES = {"strings", "choir", "pad", "strings_short", "cellos", "accordion", "horns", "pulse"}


@pytest.mark.parametrize("timbre", sorted(instruments.TIMBRES))
def test_in_tune(timbre: str) -> None:
    """Single instruments within 6 cents; ensembles are detuned by design, within 20."""
    for midi in (36, 43) if timbre in LOW else (53, 60, 67, 76):
        sound = instruments.note(timbre, midi, 1.5, 0.5).mean(axis=1)
        wanted = 440 * 2 ** ((midi + OCTAVE.get(timbre, 0) - 69) / 12)
        size = 1 << 19
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
        freq = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
        near = (freq > wanted * 0.94) & (freq < wanted * 1.06)
        found = freq[near][power[near].argmax()]
        cents = 1200 * np.log2(found / wanted)
        assert abs(cents) < (20 if timbre in ENSEMBLES else 6), midi


@pytest.mark.parametrize("timbre", sorted(instruments.TIMBRES))
def test_even_clean_and_repeatable(timbre: str) -> None:
    sound = instruments.note(timbre, 48 if timbre in LOW else 64, 1.0, 0.75)
    assert sound.dtype == np.float32
    assert sound.shape[1] == 2
    window = SAMPLE_RATE // 5
    parts = sound[: len(sound) // window * window].reshape(-1, window * 2)
    assert np.sqrt(np.mean(parts**2, axis=1)).max() == pytest.approx(0.1, rel=0.01)
    assert np.abs(sound).max() < 1.0
    assert np.abs(sound[-5:]).max() < 1e-3
    assert np.abs(sound[0]).max() < 0.02
    np.testing.assert_array_equal(
        sound, instruments.note(timbre, 48 if timbre in LOW else 64, 1.0, 0.75)
    )


@pytest.mark.parametrize("timbre", ["piano", "guitar", "electric_piano", "pad", "pulse"])
def test_force_brightens(timbre: str) -> None:
    def centre(force: float) -> float:
        power = np.abs(np.fft.rfft(instruments.note(timbre, 60, 1.0, force).mean(axis=1))) ** 2
        freq = np.fft.rfftfreq(2 * len(power) - 2, 1 / SAMPLE_RATE)[: len(power)]
        return float((freq * power).sum() / power.sum())

    assert centre(0.25) * 1.02 < centre(1.0)


@pytest.mark.parametrize("drum", sorted(percussion.SOUNDS))
def test_drums(drum: int) -> None:
    strokes = [percussion.stroke(drum, variant) for variant in range(percussion.VARIANTS)]
    for stroke in strokes:
        assert 0.02 < np.abs(stroke).max() < 1.0
        assert np.abs(stroke[-3:]).max() < 1e-3
    assert not np.array_equal(strokes[0], strokes[1])


def test_whoever_a_style_names_can_play() -> None:
    for genre in styles.GENRES.values():
        named = {*genre.lead, *genre.comp, *genre.pad, *genre.bass} - {""}
        assert named <= set(instruments.TIMBRES)
        assert genre.kit == "" or genre.kit in drums.GROOVES
    assert set(LEADS) | set(PLAYABLE) | set(PADS) <= set(instruments.TIMBRES)
    assert {pattern for suits in PLAYABLE.values() for pattern in suits} == set(PATTERNS)
    for genre in styles.GENRES.values():
        for comp in set(genre.comp) - {""}:
            assert set(genre.pattern) & set(PLAYABLE[comp]), comp


def test_partials_are_a_sum_of_decaying_cosines() -> None:
    freq, amp = np.array([220.0, 997.3]), np.array([0.7, 0.2])
    decay, phase = np.array([3.0, 0.4]), np.array([0.3, 2.0])
    t = np.arange(30_001)[:, None] / SAMPLE_RATE
    wanted = (amp * np.exp(-decay * t) * np.cos(2 * np.pi * freq * t + phase)).sum(axis=1)
    got = instruments.partials(30_001, freq, amp, decay, phase)
    np.testing.assert_allclose(got, wanted, atol=2e-5)
