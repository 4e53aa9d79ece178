"""The transcript that players read: who says what from when to when."""

from __future__ import annotations

import json

from studio.types import SpeechTrack


def transcript_json(speech: SpeechTrack) -> str:
    """The JSON transcript of the podcast namespace, version 1.0.0: one segment a spoken line."""
    segments = [
        {
            "speaker": line.speaker,
            "startTime": round(start / speech.sample_rate, 3),
            "endTime": round((start + line.num_samples) / speech.sample_rate, 3),
            "body": line.text,
        }
        for line, start in zip(speech.lines, speech.starts, strict=True)
    ]
    document = {"version": "1.0.0", "segments": segments}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
