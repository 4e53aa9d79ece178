"""The grammar of a cue's words."""

from __future__ import annotations

from typing import Any

import pytest

from studio.script.cues import STEP_DB, is_music, read_cue


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("soft piano", {"prompt": "soft piano"}),
        ("soft piano, 8 seconds", {"prompt": "soft piano", "hold_s": 8}),
        ("8 seconds of soft piano", {"prompt": "soft piano", "hold_s": 8}),
        ("soft piano for 8 sec", {"prompt": "soft piano", "hold_s": 8}),
        ("soft piano, 3s", {"prompt": "soft piano", "hold_s": 3}),
        ("soft piano, 1:30", {"prompt": "soft piano", "hold_s": 90}),
        ("80s synth pop, 120 bpm", {"prompt": "80s synth pop, 120 bpm"}),
        ("calm, slow, warm", {"prompt": "calm, slow, warm"}),
        ("fade out", {"action": "fade_out"}),
        ("Fade Out 0,5 s", {"action": "fade_out", "fade_out_s": 0.5}),
        ("fade out over 2 seconds", {"action": "fade_out", "fade_out_s": 2}),
        ("stop", {"action": "stop"}),
        ("Music out", {"action": "stop"}),
        (
            "Intro music: soft piano + light synth pulse, -12dB, fade in 2s → underlay for 5s",
            {
                "prompt": "soft piano + light synth pulse",
                "gain_db": -12,
                "gain_from": "speech",
                "fade_in_s": 2,
                "hold_s": 5,
            },
        ),
        ("soft piano -> hold 4s", {"prompt": "soft piano", "hold_s": 4}),
        ("Fade up soft strings, +2dB over bed", {"prompt": "soft strings", "gain_db": 2}),
        ("Music fade out — 3s, end clean", {"action": "fade_out", "fade_out_s": 3}),
        ("Music fades out", {"action": "fade_out"}),
        ("Soft piano fades out", {"action": "fade_out"}),
        (
            "soft piano, 3s fade in, fade out over 2 seconds",
            {"prompt": "soft piano", "fade_in_s": 3, "fade_out_s": 2},
        ),
        ("fade in piano 2s", {"prompt": "piano", "fade_in_s": 2}),
        ("piano, fade in, 2s, 1:30", {"prompt": "piano", "fade_in_s": 2, "hold_s": 90}),
        ("Music up", {"action": "level", "gain_db": STEP_DB}),
        ("Music down by 3 dB", {"action": "level", "gain_db": -3}),
        ("-18 dB", {"action": "level", "gain_db": -18, "gain_from": "speech"}),
        ("music, 6 dB below speech", {"action": "level", "gain_db": -6, "gain_from": "speech"}),
        ("harp, −6dB", {"prompt": "harp", "gain_db": -6, "gain_from": "speech"}),
        ("harp, 3dB under the bed", {"prompt": "harp", "gain_db": -3, "gain_from": "bed"}),
        (
            "file=path with spaces.mp3, -6dB, fade in 2s",
            {"file": "path with spaces.mp3", "gain_db": -6, "gain_from": "speech", "fade_in_s": 2},
        ),
        ("file=take 1, final.wav → fade out 2s", {"file": "take 1, final.wav", "fade_out_s": 2}),
        ('file="a, b; c.ogg", 9s', {"file": "a, b; c.ogg", "hold_s": 9}),
        ("Soft music begins", {"prompt": "Soft music"}),
        ("Outro music", {"prompt": "Outro music"}),
        ("Outro music:", {"prompt": "outro music"}),
    ],
)
def test_read_cue(words: str, expected: dict[str, Any]) -> None:
    blank = {
        "prompt": "",
        "action": "play",
        "gain_db": None,
        "gain_from": "bed",
        "fade_in_s": None,
        "fade_out_s": None,
        "hold_s": None,
        "file": None,
    }
    cue = read_cue(words)
    assert {name: getattr(cue, name) for name in blank} == blank | expected


@pytest.mark.parametrize("words", ["", "  ", "…", "file=", 'file=""', "x, 99 dB", "x, -61dB"])
def test_refused(words: str) -> None:
    with pytest.raises(ValueError, match=r"cue|level"):
        read_cue(words)


@pytest.mark.parametrize(
    ("direction", "music"),
    [
        ("Intro music: harp", True),
        ("Music swells", True),
        ("Upbeat electronic music", True),
        ("Fade up strings", True),
        ("Fade out", True),
        ("Music continues", False),
        ("Fade to black", False),
        ("laughs over the music", False),
        ("reacts to the music", False),
        ("Shift tone warmer", False),
        ("SFX: door", False),
        ("bedtime voice", False),
    ],
)
def test_is_music(direction: str, music: bool) -> None:
    assert is_music(direction) is music
