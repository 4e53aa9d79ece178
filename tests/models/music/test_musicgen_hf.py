"""MusicGen's real code path on tiny checkpoints of the published format."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from models.music import PIECE_LUFS, CueSpec, open_composer  # noqa: E402
from models.music.arranger.room import loudness_lufs  # noqa: E402
from models.music.musicgen_hf import MusicGen, fault_of  # noqa: E402
from models.music.musicgen_tokens import Sampling, delays, draw, noise, write  # noqa: E402
from models.music.musicgen_weights import require_packages  # noqa: E402
from studio.errors import EngineUnavailable, SettingError  # noqa: E402
from studio.specs import DeviceSpec, MusicSpec  # noqa: E402
from studio.types import SAMPLE_RATE  # noqa: E402
from tests.models.music.tiny_musicgen import save_tiny_musicgen  # noqa: E402

pytestmark = pytest.mark.slow  # needs the extra

CPU = DeviceSpec(device="cpu", threads=1)
CUES = [
    CueSpec(prompt="soft piano", seconds=0.5, seed=3),
    CueSpec(prompt="epic strings and drums", seconds=0.7, seed=4),
    CueSpec(prompt="calm synth pulse", seconds=0.3, seed=3),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_packages()
    return save_tiny_musicgen(tmp_path_factory.mktemp("tiny"))


def made(folder: Path, cues: list[CueSpec], **options: object) -> list[np.ndarray]:
    spec = MusicSpec.model_validate({"weights_dir": str(folder), **options})
    with open_composer("musicgen_hf", spec, CPU) as composer:
        return [next(iter(piece.chunks)) for piece in composer.compose(cues)]


def test_a_batch_is_the_same_as_each_alone(checkpoint: Path) -> None:
    together = made(checkpoint, CUES)
    assert [len(s) for s in together] == [round(c.seconds * SAMPLE_RATE) for c in CUES]
    assert all(s.dtype == np.float32 and s.shape[1] == 2 for s in together)
    for cue, sound in zip(CUES, together, strict=True):
        np.testing.assert_array_equal(made(checkpoint, [cue])[0], sound)
        assert loudness_lufs(sound) == pytest.approx(PIECE_LUFS, abs=1.0)
        assert np.abs(sound).max() < 0.6


def test_words_seeds_and_settings_are_heard(checkpoint: Path) -> None:
    cue = CUES[0]
    plain = made(checkpoint, [cue])[0]
    others = [
        made(checkpoint, [CueSpec(prompt="drums", seconds=cue.seconds, seed=cue.seed)])[0],
        made(checkpoint, [CueSpec(prompt=cue.prompt, seconds=cue.seconds, seed=8)])[0],
        made(checkpoint, [cue], guidance=1.0)[0],
        made(checkpoint, [cue], top_k=3)[0],
        made(checkpoint, [cue], temperature=0.3)[0],
    ]
    assert all(not np.array_equal(plain, other) for other in others)
    assert np.array_equal(plain, made(checkpoint, [cue], batch=1)[0])


def test_longer_than_a_window_goes_on_from_its_own_codes(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.music.musicgen_hf.WINDOW_S", 0.6)
    monkeypatch.setattr("models.music.musicgen_hf.OVERLAP_S", 0.2)
    monkeypatch.setattr("models.music.musicgen_hf.CODEC_BLOCK_S", 0.7)
    monkeypatch.setattr("models.music.musicgen_hf.CODEC_MARGIN_S", 1.0)
    cues = [CUES[0], CueSpec(prompt="drums", seconds=1.6, seed=1)]
    short, long = made(checkpoint, cues)
    assert len(long) == round(1.6 * SAMPLE_RATE)
    np.testing.assert_array_equal(made(checkpoint, cues[1:])[0], long)
    np.testing.assert_array_equal(made(checkpoint, cues[:1])[0], short)


def test_new_codes_follow_from_those_before(checkpoint: Path) -> None:
    engine = MusicGen(MusicSpec(weights_dir=str(checkpoint)), CPU)
    condition = engine._condition(["soft piano"])
    codes = torch.randint(0, 64, (2, 1, 4, 30), generator=torch.Generator().manual_seed(2))
    uniform = noise(5, 0, 20, 4)[None]
    how = Sampling(guidance=3.0, top_k=0, temperature=1.0)
    one, two = (write(engine._model.decoder, condition, c, uniform, how) for c in codes)
    again = write(engine._model.decoder, condition, codes[0], uniform, how)
    assert one.shape == (1, 4, 17)
    assert torch.equal(one, again)
    assert (one != two).float().mean() > 0.2


def test_codec_blocks_join_without_a_trace(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(checkpoint, CUES[:1])[0]
    monkeypatch.setattr("models.music.musicgen_hf.CODEC_BLOCK_S", 0.5)
    monkeypatch.setattr("models.music.musicgen_hf.CODEC_MARGIN_S", 0.5)
    blocks = made(checkpoint, CUES[:1])[0]
    assert np.abs(blocks - whole).max() < 0.02 * np.abs(whole).max()


def test_stereo_and_melody_checkpoints(tmp_path: Path) -> None:
    require_packages()
    stereo = save_tiny_musicgen(tmp_path / "stereo", channels=2)
    sound = made(stereo, CUES[2:])[0]
    assert not np.array_equal(sound[:, 0], sound[:, 1])
    melody = save_tiny_musicgen(tmp_path / "melody", melody=True)
    one, two = made(melody, [CUES[2]]), made(melody, [CUES[2]])
    np.testing.assert_array_equal(one[0], two[0])
    assert len(one[0]) == round(0.3 * SAMPLE_RATE)


def test_half_precision(checkpoint: Path) -> None:
    spec = MusicSpec(weights_dir=str(checkpoint))
    with open_composer("musicgen_hf", spec, DeviceSpec(device="cpu", dtype="bf16")) as composer:
        sound = next(iter(next(composer.compose(CUES[2:])).chunks))
    assert np.isfinite(sound).all()
    assert loudness_lufs(sound) == pytest.approx(PIECE_LUFS, abs=1.0)


def test_same_codes_as_the_library_writes(checkpoint: Path) -> None:
    """With the single likeliest code, ours and the library's own loop agree code by code."""
    engine = MusicGen(MusicSpec(weights_dir=str(checkpoint), guidance=3.0, top_k=1), CPU)
    condition = engine._condition(["soft piano"])
    decoder = engine._model.decoder
    empty = torch.zeros((1, 4, 0), dtype=torch.long)
    frames = 12
    ours = write(
        decoder,
        condition,
        empty,
        torch.zeros((1, frames + 3, 4)),
        Sampling(guidance=3.0, top_k=1, temperature=1.0),
    )
    library = engine._model
    library.generation_config.guidance_scale = 3.0
    library.generation_config.do_sample = False
    library.generation_config.decoder_start_token_id = decoder.config.pad_token_id
    library.generation_config.pad_token_id = decoder.config.pad_token_id
    library.generation_config.bos_token_id = decoder.config.pad_token_id
    read = engine._tokenizer(["soft piano"], return_tensors="pt")
    read.pop("token_type_ids", None)
    sound = library.generate(**read, max_length=frames + 4)
    decoded = library.audio_encoder.decode(ours[None], audio_scales=[None])[0]
    torch.testing.assert_close(decoded, sound, atol=1e-5, rtol=1e-4)


def test_unloading_frees_the_model(checkpoint: Path) -> None:
    with open_composer("musicgen_hf", MusicSpec(weights_dir=str(checkpoint)), CPU) as composer:
        assert isinstance(composer, MusicGen)
        weights = weakref.ref(composer._model.decoder)
        assert not composer.info.commercial
        assert composer.info.weights_licence == "CC-BY-NC-4.0"
        assert composer.info.rate == 32_000
        identity = composer.info.identity
    other = MusicSpec(weights_dir=str(checkpoint), guidance=2.0)
    with open_composer("musicgen_hf", other, CPU) as composer:
        assert composer.info.identity != identity
    gc.collect()
    assert weights() is None


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(SettingError, match="no checkpoint here"),
        open_composer("musicgen_hf", MusicSpec(weights_dir=str(tmp_path)), CPU),
    ):
        pass
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with (
        pytest.raises(EngineUnavailable, match="musicgen-large"),
        open_composer("musicgen_hf", MusicSpec(model="large"), CPU),
    ):
        pass


def test_drawing_follows_the_distribution() -> None:
    logits = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).expand(20_000, 4)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    drawn = draw(logits, uniform, Sampling(guidance=1.0, top_k=0, temperature=1.0))
    shares = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.012, rtol=0)
    two = draw(logits, uniform, Sampling(guidance=1.0, top_k=2, temperature=1.0))
    assert set(two.tolist()) == {0, 1}
    cold = draw(logits, uniform, Sampling(guidance=1.0, top_k=0, temperature=0.05))
    assert (cold == 0).float().mean() > 0.999


def test_delays_and_faults() -> None:
    assert delays(4, 1) == [0, 1, 2, 3]
    assert delays(8, 2) == [0, 0, 1, 1, 2, 2, 3, 3]
    rng = np.random.default_rng(0)
    fine = (0.1 * rng.standard_normal((48_000, 2))).astype(np.float32)
    assert fault_of(fine) == ""
    assert fault_of(fine * 1e-5) == "silence"
    assert fault_of(np.sign(fine)) == "clipped sound"
    assert fault_of(np.full_like(fine, np.nan)).startswith("noise")
