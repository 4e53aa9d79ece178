"""Life between the words: sway, breath, blinks and gaze of a host at any frame of an episode.

Everything is a function of (seed, time) and of nothing that was drawn before. Frames can therefore
be drawn in any order, by several processes, and neighbouring lines join without a jump.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

_MASK = (1 << 64) - 1

BREATHS_HZ = 0.26
"""About 16 breaths a minute, an adult at rest."""

_BLINK_SLOT_S = 3.4
"""One blink in each slot: 18 a minute, an adult in conversation (Bentivoglio et al., 1997, found
26; reading, 4.5).
"""

_GAZE_SLOT_S = 1.7
_SACCADE_S = 0.07
"""A gaze is held for a second or two; the jump between takes 70 ms."""

_LISTEN_SLOT_S = 4.3


@dataclass(frozen=True, slots=True)
class Pose:
    """Head and eyes at one moment.

    yaw: turn, -1 left to 1 right in the picture; pitch: -1 up to 1 down; roll: tilt in degrees,
    clockwise; blink 0..1; look_x, look_y: gaze relative to the head, -1..1; brow -1..1; breath
    0..1.
    """

    yaw: float
    pitch: float
    roll: float
    blink: float
    look_x: float
    look_y: float
    brow: float
    breath: float


@lru_cache(maxsize=4096)
def chance(seed: int, slot: int, stream: int) -> float:
    """A number in 0..1 that belongs to (seed, slot, stream): SplitMix64 (Steele, Lea and Flood,
    2014), finalised thrice.
    """
    state = seed & _MASK
    for word in (slot, stream):
        state = (state + (word & _MASK) * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state / (_MASK + 1)


def smoothstep(x: float) -> float:
    """0 below 0, 1 above 1, and a soft way between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3 - 2 * x)


def pose_at(seed: int, time_s: float, talking: float, partner: float) -> Pose:
    """The pose of a host.

    Args:
        seed: Whose life this is.
        time_s: Seconds from the episode's start.
        talking: 1 while this host speaks, 0 while it listens; anything between during a change.
        partner: Where the other host is: -1 left, 1 right, 0 nobody else.
    """
    listening = 1 - talking
    yaw = _drift(seed, 1, time_s, ((0.11, 0.45), (0.23, 0.28), (0.41, 0.10)))
    pitch = _drift(seed, 2, time_s, ((0.13, 0.22), (0.29, 0.15)))
    roll = _drift(seed, 3, time_s, ((0.09, 0.90), (0.19, 0.55), (0.37, 0.20))) + 0.25 * yaw
    turned = _attention(seed, time_s, talking)
    yaw = yaw * (0.6 + 0.4 * talking) + partner * (0.40 + 0.95 * turned)
    pitch += listening * 0.55 * _listening_nod(seed, time_s)
    look_x, look_y = _gaze(seed, time_s, talking, partner, turned)
    return Pose(
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        blink=_blink(seed, time_s),
        look_x=look_x,
        look_y=look_y,
        brow=_drift(seed, 4, time_s, ((0.17, 0.10), (0.07, 0.08))),
        breath=0.5 - 0.5 * math.cos(2 * math.pi * (BREATHS_HZ * time_s + chance(seed, 0, 5))),
    )


def _drift(seed: int, stream: int, time_s: float, waves: tuple[tuple[float, float], ...]) -> float:
    return sum(
        amplitude * math.sin(2 * math.pi * (hz * time_s + chance(seed, k, stream)))
        for k, (hz, amplitude) in enumerate(waves)
    )


def _blink(seed: int, time_s: float) -> float:
    """Shut within 70 ms, held for 40 ms, open after another 130 ms; every sixth is double."""
    shut = 0.0
    slot = math.floor(time_s / _BLINK_SLOT_S)
    for k in (slot - 1, slot, slot + 1):
        at = (k + 0.1 + 0.8 * chance(seed, k, 6)) * _BLINK_SLOT_S
        times = (at, at + 0.36) if chance(seed, k, 7) < 1 / 6 else (at,)
        for moment in times:
            since = time_s - moment
            shut = max(
                shut, min(smoothstep((since + 0.07) / 0.07), 1 - smoothstep((since - 0.04) / 0.13))
            )
    return shut


def _held(seed: int, stream: int, slot_s: float, time_s: float) -> tuple[int, int, float]:
    """The slot before, the slot now, and how far the change between them has come (0..1, in seconds
    since).
    """
    slot = math.floor(time_s / slot_s)
    begins = (slot + 0.45 * chance(seed, slot, stream)) * slot_s
    return (slot - 1, slot, time_s - begins)


def _attention(seed: int, time_s: float, talking: float) -> float:
    """0..1: how far the head is turned towards the partner; listeners mostly, speakers now and
    then.
    """
    before, now, since = _held(seed, 8, 3.9, time_s)
    share = smoothstep(since / 0.7)

    def wish(slot: int) -> float:
        draw = chance(seed, slot, 9)
        listens = 1.0 if draw < 0.72 else 0.25
        speaks = 0.8 if draw < 0.22 else 0.0
        return listens + (speaks - listens) * talking

    return wish(before) * (1 - share) + wish(now) * share


def _gaze(
    seed: int, time_s: float, talking: float, partner: float, turned: float
) -> tuple[float, float]:
    """Where the eyes look, relative to the head: at the viewer, at the partner, or somewhere else
    for a moment.
    """
    before, now, since = _held(seed, 10, _GAZE_SLOT_S, time_s)
    share = smoothstep(since / _SACCADE_S)

    def target(slot: int) -> tuple[float, float]:
        away = chance(seed, slot, 11) < 0.34
        if not away:
            return (0.0, 0.0)
        return (1.3 * chance(seed, slot, 12) - 0.65, 0.5 * chance(seed, slot, 13) - 0.22)

    x0, y0 = target(before)
    x1, y1 = target(now)
    x, y = x0 + (x1 - x0) * share, y0 + (y1 - y0) * share
    # Eyes lead the head to the partner, and turn back to the viewer when the head does.
    x = x * (0.55 + 0.45 * talking) + partner * (0.62 * turned - 0.18)
    return (x, y)


def _listening_nod(seed: int, time_s: float) -> float:
    """Two small nods, in about every other slot: "I hear you"."""
    slot = math.floor(time_s / _LISTEN_SLOT_S)
    if chance(seed, slot, 14) > 0.55:
        return 0.0
    since = time_s - (slot + 0.1 + 0.5 * chance(seed, slot, 15)) * _LISTEN_SLOT_S
    if not 0 < since < 1.1:
        return 0.0
    return math.sin(math.pi * since / 0.55) ** 2 * (1 - 0.45 * since)
