"""What a mouth and a head do while a line is spoken: phonemes and sound in, motion out.

Nothing here knows a host or a picture. A line's motion depends on the line alone, so it can be
remembered with the line and used wherever the line comes to stand.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.avatar.viseme.phonemes import DOMINANCE, MOUTH_CHANNELS, VISEMES, visemes_of
from studio.types import Phoneme, Word

MOTION_CHANNELS = (*MOUTH_CHANNELS, "nod", "brow", "voice")
"""Columns of a line's motion: the mouth's channels, then the head's nod 0..1, the brows' lift 0..1,
and the voice's loudness 0..1 relative to the line's own."""

LEAD_S = 0.045
"""Lips move ahead of the sound they make: picture may lead sound by 45 ms unnoticed (ITU-R
BT.1359-1), and articulation does begin before voicing."""

_SPREAD_S = 0.055
"""How far a phoneme's influence reaches beyond itself; a fast talker's phonemes are about this
long.
"""

_REST_WEIGHT = 0.02
"""Pull towards rest where no phoneme reaches."""

_PRESS = MOUTH_CHANNELS.index("press")

_NOD_GAP_S = 0.55
_NOD_PEAK_S = 0.13
"""Nods: at most one in 0.55 s, deepest 130 ms after the word's onset, none that a line's end would
cut short.
"""

_SILENCE = 0.03
"""Loudness relative to the line's 95th percentile (about -30 dB) below which the lips are shut."""


def loudness_curve(
    samples: NDArray[np.float32], sample_rate: int, fps: int, num_frames: int
) -> NDArray[np.float32]:
    """RMS in a window of one and a half frames around each frame, 1.0 at the line's 95th
    percentile.
    """
    hop = sample_rate / fps
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    starts = np.clip(np.round((np.arange(num_frames) - 0.25) * hop).astype(int), 0, len(samples))
    ends = np.clip(np.round((np.arange(num_frames) + 1.25) * hop).astype(int), 0, len(samples))
    rms = np.sqrt((power[ends] - power[starts]) / np.maximum(ends - starts, 1))
    loud = float(np.percentile(rms, 95)) if num_frames else 0.0
    if loud < 1e-5:
        return np.zeros(num_frames, np.float32)
    return np.asarray(np.clip(rms / loud, 0, 1.5), np.float32)


def articulate(
    samples: NDArray[np.float32],
    sample_rate: int,
    phonemes: tuple[Phoneme, ...],
    words: tuple[Word, ...],
    num_frames: int,
    fps: int,
    seed: int,
) -> NDArray[np.float32]:
    """The motion of a line: (num_frames, len(MOTION_CHANNELS)).

    Frame k shows the moment (k + 0.5) / fps after the line's start. The first frame begins to leave
    rest, the last is at rest. Without phonemes the mouth follows the loudness.
    """
    motion = np.zeros((num_frames, len(MOTION_CHANNELS)), np.float32)
    if num_frames == 0:
        return motion
    loudness = loudness_curve(samples, sample_rate, fps, num_frames)
    if phonemes:
        mouth = _blended(phonemes, sample_rate, num_frames, fps)
        mouth[:, 0] *= np.clip(0.55 + 0.55 * loudness, 0.5, 1.12)
    else:
        mouth = np.sqrt(np.minimum(loudness, 1.0))[:, None] * (VISEMES["uh"] * 1.3)
    mouth *= _voiced_gate(loudness, fps)[:, None]
    # A bilabial is closed or it is none: pressing wins over opening.
    mouth[:, 0] *= 1 - np.clip(mouth[:, _PRESS] * 1.5 - 0.2, 0, 1)
    motion[:, : len(MOUTH_CHANNELS)] = _smoothed(mouth, np.array([0.12, 0.76, 0.12]))
    voice = _smoothed(loudness[:, None], np.hanning(int(fps * 0.5) | 1))[:, 0]
    nods = _nods(words, voice, sample_rate, fps, seed)
    motion[:, 7] = nods
    motion[:, 8] = _smoothed(nods[:, None], np.ones(max(3, int(fps * 0.28) | 1)))[:, 0]
    motion[:, 9] = np.minimum(voice, 1.0)
    return motion * _ends_at_rest(num_frames, fps)[:, None]


def _blended(
    phonemes: tuple[Phoneme, ...], sample_rate: int, num_frames: int, fps: int
) -> NDArray[np.float32]:
    """Mouth targets weighted by each viseme's dominance around its own time."""
    weight = np.full(num_frames, _REST_WEIGHT)
    total = weight[:, None] * VISEMES["rest"]
    end_s = num_frames / fps
    spans = [(-0.1, 0.0, "rest"), (end_s, end_s + 0.1, "rest")]
    for phoneme in phonemes:
        start = phoneme.start / sample_rate
        visemes = visemes_of(phoneme.symbol)
        length = max(phoneme.num_samples / sample_rate, 1e-3) / len(visemes)
        spans += [(start + k * length, start + (k + 1) * length, v) for k, v in enumerate(visemes)]
    for start, end, viseme in spans:
        middle, half = (start + end) / 2 - LEAD_S, max((end - start) / 2, 0.02) + _SPREAD_S
        first = max(0, int((middle - half) * fps))
        last = min(num_frames, int((middle + half) * fps) + 2)
        if last <= first:
            continue
        times = (np.arange(first, last) + 0.5) / fps
        near = np.clip(1 - np.abs(times - middle) / half, 0, 1)
        pull = near * near * (3 - 2 * near) * DOMINANCE.get(viseme, 0.9)
        if viseme == "rest" and end - start < 0.06:
            pull *= 0.6
        weight[first:last] += pull
        total[first:last] += pull[:, None] * VISEMES[viseme]
    mouth = np.asarray(total / weight[:, None], np.float32)
    for start, end, viseme in spans:
        nearest = max(0, int(((start + end) / 2 - LEAD_S) * fps))
        if viseme == "mbp" and nearest < num_frames:
            # A closure can be shorter than a frame; the frame nearest to it must show it.
            mouth[nearest, _PRESS] = max(mouth[nearest, _PRESS], 0.95)
    return mouth


def _voiced_gate(loudness: NDArray[np.float32], fps: int) -> NDArray[np.float32]:
    """1 while there is sound within 0.12 s, 0 in longer silence: a mouth never moves in a silent
    gap.
    """
    reach = max(1, int(np.ceil(0.12 * fps)))
    sounding = np.pad((loudness > _SILENCE).astype(np.float32), reach)
    windows = np.lib.stride_tricks.sliding_window_view(sounding, 2 * reach + 1)
    near = windows.max(axis=1)
    return np.asarray(_smoothed(near[:, None], np.ones(3))[:, 0] * near, np.float32)


def _nods(
    words: tuple[Word, ...],
    voice: NDArray[np.float32],
    sample_rate: int,
    fps: int,
    seed: int,
) -> NDArray[np.float32]:
    """Small nods on the onsets of words that are spoken with energy."""
    num_frames = len(voice)
    times = (np.arange(num_frames) + 0.5) / fps
    nods = np.zeros(num_frames)
    strengths = np.random.default_rng(seed)
    last = -1.0
    for word in words:
        onset = word.start / sample_rate
        ahead = min(int((onset + 0.16) * fps), num_frames - 1)
        if voice[ahead] < 0.55 or onset - last < _NOD_GAP_S or onset > times[-1] - _NOD_GAP_S:
            continue
        since = np.maximum(times - onset, 0) / _NOD_PEAK_S
        nods += since**2 * np.exp(2 - 2 * since) * strengths.uniform(0.6, 1.0)
        last = onset
    return np.asarray(np.clip(nods, 0, 1), np.float32)


def _smoothed(columns: NDArray[np.float32], kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    kernel = kernel / kernel.sum()
    reach = len(kernel) // 2
    padded = np.pad(columns, ((reach, reach), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return np.asarray(windows @ kernel, np.float32)


def _ends_at_rest(num_frames: int, fps: int) -> NDArray[np.float32]:
    """Up within 60 ms at the start, down within 120 ms to exactly 0 at the last frame."""
    frames = np.arange(num_frames)
    rise = np.clip((frames + 0.5) / (0.06 * fps), 0, 1)
    fall = np.clip((num_frames - 1 - frames) / max(1.0, 0.12 * fps), 0, 1)
    return np.asarray(rise * (fall * fall * (3 - 2 * fall)), np.float32)
