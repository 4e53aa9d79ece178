"""The files of a store and what their bytes mean. All numbers are little-endian.

    spec.json        the `CorpusSpec`, written once: a store never changes its definition
    mel.f16          frames of all clips, one after another, `n_mels` values each (or .u16, .f32)
    tokens.u16       token ids of all clips, one after another; 0 is padding and never occurs
    durations.u16    beside phonemes: frames of every token; a clip's add up to its frames
    clips.jsonl      a line a clip: id, text, normalised text, speaker, source
    index.npz        the commit: a row a clip, the vocabulary, the speakers, the length of each file
    quarantine.jsonl a line for every clip that is not used, with its reason
    stamps.json      sizes and times of the recordings as last seen; of this machine, no part of it

Data files only grow. What lies behind the lengths in `index.npz` was never committed and is cut off
by the next preparation; `index.npz` is replaced whole. A reader that has mapped the files therefore
never sees a byte change.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from studio.corpus.asked import Storage

FORMAT: Final = 1
"""Raised when a file changes its meaning."""

SPEC: Final = "spec.json"
INDEX: Final = "index.npz"
CLIPS: Final = "clips.jsonl"
TOKENS: Final = "tokens.u16"
DURATIONS: Final = "durations.u16"
QUARANTINE: Final = "quarantine.jsonl"
STAMPS: Final = "stamps.json"

STORED: Final[dict[Storage, np.dtype[np.generic]]] = {
    "f16": np.dtype("<f2"),
    "u16": np.dtype("<u2"),
    "f32": np.dtype("<f4"),
}
"""The type of a mel value in its file."""

ROW: Final = np.dtype(
    [
        ("key", "u1", (32,)),
        ("frame", "<u8"),
        ("num_frames", "<u4"),
        ("token", "<u8"),
        ("num_tokens", "<u4"),
        ("line", "<u8"),
        ("line_bytes", "<u4"),
        ("num_samples", "<u4"),
        ("speaker", "<u2"),
        ("level_db", "<f4"),
        ("peak_db", "<f4"),
        ("crc32", "<u4"),
    ]
)
"""A clip in the index. `key` is the SHA-256 of its sound, text, speaker and phonemes; `frame`,
`token` and `line` say where it begins (in frames, tokens, bytes); `level_db` is its RMS and
`peak_db` its highest sample, both dBFS; `crc32` covers its mel, tokens and durations as stored.
"""


def mel_file(storage: Storage) -> str:
    """The name of the file with the frames."""
    return f"mel.{storage}"
