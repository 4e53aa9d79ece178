from __future__ import annotations

import numpy as np

from models.music import PIECE_LUFS, CueSpec, open_composer
from models.music.arranger.room import loudness_lufs
from studio.specs import DeviceSpec, MusicSpec


def test_hums_at_once_at_the_common_level_and_joins_itself() -> None:
    cues = [CueSpec(prompt=p, seconds=5.0) for p in ("soft piano", "Soft Piano ", "drums")]
    with open_composer("hum", MusicSpec(), DeviceSpec()) as composer:
        assert composer.info.commercial
        one, same, other = (next(iter(p.chunks)) for p in composer.compose(cues))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert abs(loudness_lufs(one) - PIECE_LUFS) < 1.0
    join = np.concatenate([one[-100:], one[:100]])
    assert np.abs(np.diff(join, axis=0)).max() <= 1.01 * np.abs(np.diff(one, axis=0)).max()
