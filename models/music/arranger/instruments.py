"""Pitched instruments, synthesised: a note is `(num_samples, 2)` float32, of even loudness over
pitch.

Most are sums of decaying partials. A sum of K partials over N samples is one small matrix product:
with n = 512 a + b, exp(s n) = exp(512 s a) exp(s b), so the sum is (N/512 x 2K) @ (2K x 512), some
hundred times cheaper than K sines. Plucked strings are Karplus-Strong loops (Karplus and Strong,
Computer Music Journal 7(2), 1983) with fractional delay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from studio.types import SAMPLE_RATE

Sound = NDArray[np.float32]
Floats = NDArray[np.floating]
Timbre = Callable[[float, float, float, np.random.Generator], Sound]
"""(frequency in Hz, seconds held, force 0-1, rng) -> stereo."""

BLOCK = 512
HIGHEST_HZ = 12_000.0
"""No partial above: nothing that hisses under a voice, and far from aliasing at 24 kHz."""


def seconds(length_s: float) -> int:
    """A length in samples, at least one."""
    return max(1, round(length_s * SAMPLE_RATE))


def partials(num_samples: int, freq_hz: Floats, amp: Floats, decay: Floats, phase: Floats) -> Sound:
    """The sum of `amp * exp(-decay t) * cos(2 pi freq_hz t + phase)`, mono. Arrays are `(K,)`;
    `decay` is per second.
    """
    heard = freq_hz < HIGHEST_HZ
    pole = (2j * np.pi * freq_hz[heard] - decay[heard]) / SAMPLE_RATE
    rows = -(-num_samples // BLOCK)
    start = amp[heard] * np.exp(1j * phase[heard])
    coarse = start * np.exp(np.arange(rows)[:, None] * BLOCK * pole)
    fine = np.exp(np.arange(BLOCK)[:, None] * pole)
    left = np.concatenate([coarse.real, -coarse.imag], axis=1).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag], axis=1).astype(np.float32)
    summed: Sound = (left @ right.T).reshape(-1)[:num_samples]
    return summed


def edges(num_samples: int, attack_s: float, release_s: float) -> Sound:
    """A gain that rises and falls along raised cosines, one in between."""
    shape = np.ones(num_samples, np.float32)
    rise, fall = min(num_samples, seconds(attack_s)), min(num_samples, seconds(release_s))
    shape[:rise] *= (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rise))).astype(np.float32)
    shape[num_samples - fall :] *= (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall))).astype(
        np.float32
    )
    return shape


def _wide(
    num_samples: int, freq: Floats, amp: Floats, decay: Floats, rng: np.random.Generator
) -> Sound:
    """The same partials left and right, at other phases above the first four: width without a hole
    in mono.
    """
    count = len(freq)
    phase = rng.uniform(0, 2 * np.pi, count)
    apart = phase + np.where(np.arange(count) < 4, 0.25, 1.2) * rng.uniform(-1, 1, count)
    both = [partials(num_samples, freq, amp, decay, p) for p in (phase, apart)]
    return narrowed(np.stack(both, axis=1), 0.7)


def narrowed(sound: Sound, width: float) -> Sound:
    """Stereo with the difference of its sides scaled by `width`: 0 is mono, 1 unchanged. Keeps mono
    listeners happy.
    """
    middle = sound.mean(axis=1, keepdims=True)
    narrow: Sound = (middle + (sound - middle) * np.float32(width)).astype(np.float32)
    return narrow


def piano(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Felt-like piano: stretched partials, two slightly mistuned strings, hammer noise, force
    brightens.
    """
    n = seconds(min(held_s + 0.35, 5.0))
    k = np.arange(1, 25)
    stretch = 3.5e-4 * (freq / 261.6) ** 1.6
    tuned = freq * k * np.sqrt((1 + stretch * k**2) / (1 + stretch))
    amp = k**-1.05 * np.exp(-(k - 1) * (0.42 - 0.32 * force) * (freq / 261.6) ** 0.4)
    decay = (0.6 + 0.26 * k) * (freq / 261.6) ** 0.55
    freqs = np.concatenate([tuned, tuned * 1.0005])
    amps = np.concatenate([amp, amp * 0.45])
    sound = _wide(n, freqs, amps, np.concatenate([decay, decay * 0.45]), rng)
    knock = seconds(0.025)
    noise = _smooth(rng.standard_normal(knock), 24) * np.exp(-np.arange(knock) / 240)
    sound[:knock] += (0.35 * force * noise[:, None]).astype(np.float32)
    shaped: Sound = sound * edges(n, 0.002, 0.3)[:, None]
    return shaped


def electric_piano(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Tine piano: a round tone whose bell-like attack grows with force; slow tremolo from side to
    side.
    """
    n = seconds(min(held_s + 0.25, 4.5))
    ratio = np.array([1, 2, 3, 4, 5, 7.03, 11.4, 15.2])
    tine = np.array([0.26, 0.16, 0.08]) * (0.35 + force)
    amp = np.array([1.0, 0.3 + 0.35 * force, 0.3 * force, 0.2 * force, 0.07, *tine])
    decay = np.array([0.75, 1.3, 2.2, 3.0, 4.5, 8.0, 14.0, 22.0]) * (freq / 261.6) ** 0.4
    tone = partials(n, freq * ratio, amp, decay, np.zeros(8))
    twin = partials(n, freq * ratio * 1.0009, amp, decay, np.full(8, 0.4))
    sway = 0.16 * np.sin(2 * np.pi * 4.6 * np.arange(n) / SAMPLE_RATE + rng.uniform(0, 6))
    sides = np.stack([tone * (1 + sway), twin * (1 - sway)], axis=1).astype(np.float32)
    shaped: Sound = np.tanh(sides * 0.9).astype(np.float32) * edges(n, 0.003, 0.22)[:, None]
    return shaped


def _string(freq: float, n: int, bright: float, ring_s: float, rng: np.random.Generator) -> Sound:
    """Karplus-Strong: a burst of noise circulates through a delay of one period, a two-point
    average and a loss.

    The average's weights (1 - s, s) delay by s samples, a linear interpolation makes up the rest of
    the fraction. The loop is computed a whole period at a time. Loss per period so that the
    fundamental falls 60 dB in `ring_s`.
    """
    damping = 0.5 - 0.3 * bright
    period = SAMPLE_RATE / freq
    whole = int(period - damping)
    rest = period - damping - whole
    loss = 10 ** (-3 * period / (SAMPLE_RATE * ring_s))
    taps = loss * np.convolve([1 - damping, damping], [1 - rest, rest])
    # The burst is one period long, so the bins of its spectrum are the string's partials: a plucked
    # string's fall as 1/k, a soft finger takes off the top, and picking at 0.22 of the length
    # weakens every partial with a node there.
    k = np.arange(1, (whole + 2) // 2 + 1)
    ceiling = 1_100.0 + 4_200.0 * bright
    amp = np.abs(np.sin(np.pi * k * 0.22)) / k / (1 + (k * freq / ceiling) ** 2)
    spectrum = amp * np.exp(2j * np.pi * rng.uniform(size=len(k)))
    burst = np.fft.irfft(np.concatenate([[0.0], spectrum]), whole + 2)
    burst *= 0.3 / np.sqrt(np.mean(burst**2))
    out = np.zeros(n + 2 * whole + 4)
    out[2 : whole + 4] = burst
    for start in range(whole + 4, n + 2, whole):
        stop = min(start + whole, len(out))
        span = slice(start - whole, stop - whole)
        out[start:stop] = (
            taps[0] * out[span]
            + taps[1] * out[start - whole - 1 : stop - whole - 1]
            + taps[2] * out[start - whole - 2 : stop - whole - 2]
        )
    return out[2 : n + 2].astype(np.float32)


def guitar(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Nylon guitar: two Karplus-Strong strings a hair apart, left and right, in a small wooden
    body.
    """
    n = seconds(min(held_s + 0.3, 3.6))
    ring = 3.2 * (220 / freq) ** 0.5
    bright = 0.25 + 0.45 * force
    both = [_string(freq * tune, n, bright, ring, rng) for tune in (1.0, 1.0007)]
    body = partials(
        n, np.array([101.0, 204.0]), np.array([0.09, 0.07]), np.array([16.0, 22.0]), np.zeros(2)
    )
    middle = 0.5 * (both[0] + both[1])
    sound = np.stack([0.6 * middle + 0.4 * b + body * force for b in both], axis=1)
    return sound.astype(np.float32) * edges(n, 0.0015, 0.22)[:, None]


def harp(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Harp: a softer, longer Karplus-Strong string."""
    n = seconds(min(held_s + 0.8, 4.0))
    ring = 4.5 * (261.6 / freq) ** 0.5
    both = [_string(freq * tune, n, 0.12 + 0.3 * force, ring, rng) for tune in (1.0, 1.0004)]
    return np.stack(both, axis=1) * edges(n, 0.002, 0.5)[:, None]


def _struck(
    ratios: tuple[float, ...], amps: tuple[float, ...], decays: tuple[float, ...], octave: int
) -> Timbre:
    """Bars and bells: a few partials that are not harmonics, each with its own decay."""

    def timbre(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
        base = freq * 2.0**octave
        slowest = min(decays)
        n = seconds(min(held_s + 1.0, 5.0 / slowest + 0.3))
        tilt = np.array([a * (0.45 + 0.75 * force) ** i for i, a in enumerate(amps)])
        decay = np.array(decays) * (base / 523.0) ** 0.35
        sound = _wide(n, base * np.array(ratios), tilt, decay, rng)
        return sound * edges(n, 0.0015, 0.4)[:, None]

    return timbre


def _held(
    slope: float,
    voices: tuple[float, ...],
    attack_s: float,
    release_s: float,
    top_hz: float,
    formants: tuple[tuple[float, float, float], ...] = (),
    width: float = 0.5,
) -> Timbre:
    """An ensemble of detuned voices (in cents), partials falling as k**-slope under a soft ceiling
    at `top_hz`.

    `formants` are (centre Hz, width Hz, gain): what makes "oo" of a choir, wood of strings.
    """

    def timbre(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
        n = seconds(held_s + release_s)
        ceiling = top_hz * (0.6 + 0.8 * force)
        k = np.arange(1, min(28, max(2, int(3.0 * ceiling / freq))) + 1)
        amp = k**-slope / (1 + (freq * k / ceiling) ** 2)
        for centre, spread, boost in formants:
            amp = amp * (1 + boost * np.exp(-(((freq * k - centre) / spread) ** 2)))
        sides = []
        for side in (-1, 1):
            detune = [
                2 ** ((cents * side + 0.4 * rng.standard_normal()) / 1200) for cents in voices
            ]
            freqs = np.concatenate([freq * k * d for d in detune])
            amps = np.tile(amp, len(voices))
            phase = rng.uniform(0, 2 * np.pi, len(freqs))
            sides.append(partials(n, freqs, amps, np.zeros(len(freqs)), phase))
        sound = narrowed(np.stack(sides, axis=1), width)
        swell = 1 - 0.12 * np.cos(2 * np.pi * np.arange(n) / SAMPLE_RATE * 0.21)
        rise = min(attack_s, 0.45 * held_s)
        return (sound * swell[:, None]).astype(np.float32) * edges(n, rise, release_s)[:, None]

    return timbre


def pulse(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Analogue sequencer: a sawtooth whose filter closes after each note, two oscillators wide."""
    n = seconds(min(held_s + 0.12, 1.5))
    k = np.arange(1, 21)
    amp = 1.0 / k / (1 + (freq * k / (1_300 + 3_600 * force)) ** 2)
    decay = 1.2 + 0.9 * k * (freq / 261.6) ** 0.5
    sides = [
        partials(n, freq * k * tune, amp, decay, rng.uniform(0, 0.6, 20)) for tune in (0.998, 1.002)
    ]
    return np.stack(sides, axis=1) * edges(n, 0.004, 0.1)[:, None]


def strings_short(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
    """Spiccato strings: a short bowed ensemble note."""
    bowed = _held(1.25, (-9, -3, 4, 8), 0.028, 0.16, 2600.0)(freq, min(held_s, 0.3), force, rng)
    fall = np.exp(-np.arange(len(bowed)) / SAMPLE_RATE * 5.0).astype(np.float32)
    return bowed * fall[:, None]


def _bass(
    harmonics: tuple[float, ...], decays: tuple[float, ...], drive: float, attack_s: float
) -> Timbre:
    """Bass notes: the same on both sides (low notes belong in the middle), a little saturated."""

    def timbre(freq: float, held_s: float, force: float, rng: np.random.Generator) -> Sound:
        n = seconds(held_s + 0.09)
        k = np.arange(1, len(harmonics) + 1)
        amp = np.array(harmonics) * (0.5 + force) ** (k - 1)
        tone = partials(n, freq * k, amp, np.array(decays), np.full(len(k), -np.pi / 2))
        driven = np.tanh(tone * drive) / np.tanh(drive) if drive else tone
        mono = driven.astype(np.float32) * edges(n, attack_s, 0.08)
        return np.repeat(mono[:, None], 2, axis=1)

    return timbre


def _smooth(noise: Floats, width: int) -> Floats:
    """Noise through a moving average, its level kept."""
    width = max(1, min(width, len(noise)))
    smoothed: Floats = np.convolve(noise, np.full(width, width**-0.5), mode="same")
    return smoothed


TIMBRES: Mapping[str, Timbre] = {
    "piano": piano,
    "electric_piano": electric_piano,
    "guitar": guitar,
    "harp": harp,
    # Ratios of a celesta-like bar, a vibraphone (tuned to the double octave), a marimba (4 and
    # 9.2).
    "bell": _struck((1.0, 2.76, 5.4), (1.0, 0.28, 0.08), (1.5, 3.4, 7.0), 1),
    "vibraphone": _struck((1.0, 4.0, 9.9), (1.0, 0.22, 0.04), (1.1, 3.2, 8.0), 0),
    "marimba": _struck((1.0, 3.98, 9.2), (1.0, 0.3, 0.1), (4.2, 9.0, 18.0), 0),
    "organ": _held(0.9, (0.0, 1.5), 0.03, 0.14, 1800.0),
    "accordion": _held(0.75, (-5.0, 0.0, 6.0), 0.05, 0.12, 2600.0, width=0.3),
    "strings": _held(1.15, (-10, -4, 0, 5, 9), 0.5, 0.75, 2300.0, ((500.0, 250.0, 0.8),)),
    "pad": _held(1.5, (-8, -2.5, 3, 7), 0.55, 0.9, 1900.0),
    "choir": _held(1.2, (-11, -5, 0, 6, 10), 0.5, 0.8, 1300.0, ((420.0, 160.0, 2.2),)),
    "horns": _held(1.1, (-5, 0, 4), 0.09, 0.25, 1200.0),
    "flute": _held(2.3, (0.0, 2.5), 0.07, 0.15, 2400.0),
    "pulse": pulse,
    "strings_short": strings_short,
    "round": _bass((1.0, 0.42, 0.16, 0.07), (0.8, 2.0, 4.0, 6.0), 0.9, 0.008),
    "upright": _bass((1.0, 0.55, 0.3, 0.14, 0.07), (1.7, 2.6, 4.5, 7.0, 10.0), 0.6, 0.006),
    "synth": _bass((1.0, 0.6, 0.4, 0.28, 0.2, 0.12), (0.4, 1.6, 3.0, 5.0, 8.0, 12.0), 1.2, 0.004),
    "sub": _bass((1.0, 0.12), (0.3, 0.8), 0.7, 0.03),
    "cellos": _held(1.4, (-6, 0, 5), 0.16, 0.5, 1100.0, width=0.15),
}


def note(timbre: str, midi: int, held_s: float, force: float) -> Sound:
    """One note, scaled so that its loudest 0.2 s have an RMS of 0.1 whatever its pitch and timbre.

    The same arguments always give the same samples: the random parts are seeded by timbre and
    pitch.
    """
    rng = np.random.default_rng([midi, *timbre.encode()])
    sound = TIMBRES[timbre](440.0 * 2 ** ((midi - 69) / 12), held_s, force, rng)
    window = min(len(sound), seconds(0.2))
    parts = sound[: len(sound) // window * window].reshape(-1, window * 2)
    loudest = float(np.sqrt(np.mean(np.square(parts, dtype=np.float32), axis=1).max()))
    return (sound * np.float32(0.1 / max(loudest, 1e-6))).astype(np.float32)
