from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.voice import LineSpec, Voice, open_voice
from models.voice.espeak_ng import utter
from studio.errors import EngineUnavailable, MediaError, SettingError
from studio.specs import DeviceSpec, VoiceSpec

torch = pytest.importorskip("torch")
pytest.importorskip("TTS")

from models.voice.coqui_weights import fetch_weights, identity, locate  # noqa: E402
from tests.models.voice.tiny_coqui import make_vits, make_xtts  # noqa: E402

pytestmark = pytest.mark.slow
CPU = DeviceSpec(device="cpu", threads=1)
TEXT = "Hello there, it costs $5 and Dr. Smith paid."


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vits(tmp_path_factory.mktemp("vits"), speakers=4)


@pytest.fixture(scope="module")
def voice(vits: Path) -> Iterator[Voice]:
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(vits)), CPU) as opened:
        yield opened


def test_vits_speaks_with_exact_times(voice: Voice) -> None:
    (spoken,) = voice.say([LineSpec(text=TEXT, voice="p226")])
    assert spoken.sample_rate == voice.info.rate == 22_050
    assert [word.text for word in spoken.words] == TEXT.split()
    stops = [p.start + p.num_samples for p in spoken.phonemes]
    assert [p.start for p in spoken.phonemes] == [0, *stops[:-1]]
    assert stops[-1] == len(spoken.samples)
    assert "".join(p.symbol for p in spoken.phonemes[:4]) == "həlˈo"
    # The hop of the model: its times are exact, not aligned.
    assert all(stop % 256 == 0 for stop in stops)


def test_a_line_depends_on_itself_and_its_seed_alone(voice: Voice) -> None:
    line = LineSpec(text=TEXT, voice="p225", seed=3)
    other = LineSpec(text="Something else.", voice="p226", seed=9)
    (alone,) = voice.say([line])
    _, among, _ = voice.say([other, line, other])
    (reseeded,) = voice.say([LineSpec(text=TEXT, voice="p225", seed=4)])
    (another,) = voice.say([LineSpec(text=TEXT, voice="p227", seed=3)])
    assert np.abs(alone.samples - among.samples).max() < 1e-4 * np.abs(alone.samples).max()
    assert not np.array_equal(alone.samples, reseeded.samples)
    assert not np.array_equal(alone.samples, another.samples)
    assert torch.initial_seed() not in (3, 4, 9)


@pytest.mark.parametrize("stochastic", [False, True])
def test_lines_spoken_together_are_the_lines_alone(tmp_path: Path, stochastic: bool) -> None:
    folder = make_vits(tmp_path / "vits", speakers=4, stochastic=stochastic)
    texts = (TEXT, "Yes.", "A longer line that goes on for a while, because it can.", "Why?", "No.")
    lines = [
        LineSpec(text=text, voice=f"p{225 + n % 4}", seed=n, rate_wpm=140 + 10 * n)
        for n, text in enumerate(texts)
    ]
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(folder)), CPU) as opened:
        together = list(opened.say(lines))
        for line, among in zip(lines, together, strict=True):
            (alone,) = opened.say([line])
            assert len(alone.samples) == len(among.samples)
            loudest = float(np.abs(alone.samples).max())
            assert np.abs(alone.samples - among.samples).max() < 1e-4 * loudest
            assert alone.words == among.words
        if stochastic:
            (other,) = opened.say([replace(lines[2], seed=77)])
            assert len(other.samples) != len(together[2].samples)


def test_without_noise_a_line_is_what_the_library_makes(voice: Voice) -> None:
    model = voice._model._synthesizer.tts_model  # type: ignore[attr-defined]
    held, model.inference_noise_scale = model.inference_noise_scale, 0.0
    try:
        (mine,) = voice.say([LineSpec(text="Good day to you.", voice="p226")])
        with torch.inference_mode():
            theirs = model.synthesize("Good day to you.", speaker="p226")["wav"].reshape(-1)
    finally:
        model.inference_noise_scale = held
    assert len(mine.samples) == len(theirs)
    # The decoder sees 13 frames ahead, and what it sees beyond the end is ours.
    heard = slice(0, len(theirs) - 13 * 256)
    assert np.abs(mine.samples[heard] - theirs[heard]).max() < 1e-4 * np.abs(theirs).max()


def test_rate_and_pitch_are_heard(voice: Voice) -> None:
    def length(**changes: int) -> int:
        (spoken,) = voice.say([LineSpec(text=TEXT, voice="p225", **changes)])  # type: ignore[arg-type]
        assert [word.text for word in spoken.words] == TEXT.split()
        return len(spoken.samples)

    own = length()
    assert length(rate_wpm=110) > 1.15 * own
    assert length(pitch_pct=80) == pytest.approx(own, rel=0.05)
    (plain, high) = voice.say(
        [LineSpec(text=TEXT, voice="p225", pitch_pct=pitch) for pitch in (50, 80)]
    )
    assert plain.samples.tobytes() != high.samples.tobytes()


def test_the_cast_is_distinct_and_checked(voice: Voice) -> None:
    cast = voice.cast(["A", "B", "C"], {"B": "p228"})
    assert cast["B"] == "p228"
    assert len(set(cast.values())) == 3
    with pytest.raises(SettingError, match="p22"):
        voice.cast(["A"], {"A": "p22"})
    with pytest.raises(SettingError, match="p999"):
        list(voice.say([LineSpec(text="x", voice="p999")]))
    with pytest.raises(SettingError, match="no voice"):
        voice.cast(["A"], {"A": "someone.wav"})


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_half_precision_stays_close(vits: Path, dtype: str) -> None:
    device = DeviceSpec.model_validate({"device": "cpu", "threads": 1, "dtype": dtype})
    line = LineSpec(text=TEXT, voice="p225")
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(vits)), device) as half:
        (spoken,) = half.say([line])
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(vits)), CPU) as full:
        (truth,) = full.say([line])
    assert spoken.samples.dtype == np.float32
    assert np.isfinite(spoken.samples).all()
    assert len(spoken.samples) == pytest.approx(len(truth.samples), rel=0.05)


def test_temperature_changes_the_voice_and_closing_frees_it(vits: Path) -> None:
    made = []
    for temperature in (0.1, 1.5):
        spec = VoiceSpec(weights_dir=str(vits), temperature=temperature)
        with open_voice("coqui_tts", spec, CPU) as opened:
            (spoken,) = opened.say([LineSpec(text=TEXT, voice="p225")])
            made.append(spoken.samples)
            model = opened._model._synthesizer.tts_model  # type: ignore[attr-defined]
            watched = weakref.ref(model)
            del model
        gc.collect()
        assert watched() is None
    assert made[0].tobytes() != made[1].tobytes()


def test_weights_that_cannot_be_used_say_why(tmp_path: Path, vits: Path) -> None:
    def refused(folder: Path, match: str) -> None:
        spec = VoiceSpec(weights_dir=str(folder))
        with pytest.raises(EngineUnavailable, match=match), open_voice("coqui_tts", spec, CPU):
            pass

    refused(tmp_path, "config.json")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((vits / "config.json").read_text())
    refused(broken, "model.pth")
    (broken / "speaker_ids.json").write_text((vits / "speaker_ids.json").read_text())
    (broken / "model.pth").write_bytes(b"<html>not found</html>")
    refused(broken, "no file of weights")
    (broken / "config.json").write_text("{")
    refused(broken, "cannot be read")


def test_published_names_are_known_and_never_fetched_unasked() -> None:
    with pytest.raises(SettingError, match="tts_models/en/vctk/vits"):
        locate(VoiceSpec(model="tts_models/en/vctk/vitz"))
    with pytest.raises(EngineUnavailable, match=r"not on this machine.*apache"):
        locate(VoiceSpec(model="tts_models/en/vctk/vits"))
    with pytest.raises(SettingError, match="CPML"):
        fetch_weights("tts_models/multilingual/multi-dataset/xtts_v2", accept_licence=False)


def test_a_card_that_is_not_there_is_an_error(vits: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    spec = VoiceSpec(weights_dir=str(vits))
    cuda = DeviceSpec(device="cuda")
    with (
        pytest.raises(EngineUnavailable, match="CUDA"),
        open_voice("coqui_tts", spec, cuda),
    ):
        pass


def test_letters_without_phonemes_are_aligned(tmp_path: Path) -> None:
    folder = make_vits(tmp_path / "letters", phonemes=False)
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(folder)), CPU) as voice:
        assert voice.cast(["A", "B"], {}) == {"A": "", "B": ""}
        (spoken,) = voice.say([LineSpec(text=TEXT)])
    assert [word.text for word in spoken.words] == TEXT.split()


def test_xtts_speaks_clones_and_keeps_its_licence(tmp_path: Path) -> None:
    folder = make_xtts(tmp_path / "xtts")
    speech = utter(LineSpec(text="This is my voice, and it goes on for a while, as you can hear."))
    recording = tmp_path / "me.wav"
    soundfile.write(recording, speech.samples, speech.sample_rate)
    soundfile.write(tmp_path / "short.wav", speech.samples[:9000], speech.sample_rate)
    spec = VoiceSpec(weights_dir=str(folder))
    with open_voice("coqui_tts", spec, CPU) as voice:
        assert voice.info.weights_licence == "CPML"
        assert not voice.info.commercial
        cast = voice.cast(["A", "B", "C"], {"C": str(recording)})
        assert cast == {"A": "Ada Example", "B": "Bo Example", "C": str(recording)}
        lines = [LineSpec(text="Good day to you.", voice=name, seed=1) for name in cast.values()]
        made = list(voice.say([*lines, lines[0]]))
        assert made[0].samples.tobytes() == made[3].samples.tobytes()
        assert len({spoken.samples.tobytes() for spoken in made}) == 3
        assert all([w.text for w in one.words] == lines[0].text.split() for one in made)
        with pytest.raises(SettingError, match="en, de"):
            list(voice.say([LineSpec(text="x", voice="Bo Example", language="fr")]))
        with pytest.raises(MediaError, match="too short"):
            voice.cast(["A"], {"A": str(tmp_path / "short.wav")})
    cloned = VoiceSpec(weights_dir=str(folder), reference=str(recording))
    bf16 = DeviceSpec(device="cpu", threads=1, dtype="bf16")
    with open_voice("coqui_tts", cloned, bf16) as voice:
        assert voice.cast(["A"], {}) == {"A": "reference"}
        (spoken,) = voice.say([LineSpec(text="Good day.", voice="reference")])
        assert np.isfinite(spoken.samples).all()


def test_an_xtts_tuned_to_one_language_speaks_it(tmp_path: Path) -> None:
    folder = make_xtts(tmp_path / "xtts", languages=("en",))
    with open_voice("coqui_tts", VoiceSpec(weights_dir=str(folder)), CPU) as voice:
        (spoken,) = voice.say([LineSpec(text="Good day to you.", voice="Bo Example")])
        assert len(spoken.samples) > 0


def test_compiled_speech_is_the_same_speech(vits: Path) -> None:
    line = LineSpec(text="Good day to you.", voice="p225")
    spec = VoiceSpec(weights_dir=str(vits))
    with open_voice("coqui_tts", spec, CPU) as voice:
        (plain,) = voice.say([line])
    with open_voice("coqui_tts", spec, CPU.model_copy(update={"compile": True})) as voice:
        (compiled,) = voice.say([line])
    assert np.abs(compiled.samples - plain.samples).max() < 1e-3


def test_identity_tells_weights_and_settings_apart(vits: Path, tmp_path: Path) -> None:
    def of(folder: Path, **changes: float) -> str:
        spec = VoiceSpec(weights_dir=str(folder)).model_copy(update=changes)
        return identity(locate(spec), spec)

    other = make_vits(tmp_path / "other", phonemes=False)
    assert of(vits) == of(vits)
    assert len({of(vits), of(vits, temperature=0.3), of(other)}) == 3


def test_a_config_keeps_its_own_licence(vits: Path) -> None:
    assert json.loads((vits / "config.json").read_text())["model"] == "vits"
    checkpoint = locate(VoiceSpec(weights_dir=str(vits)))
    assert checkpoint.licence.startswith("unknown")
    assert not checkpoint.commercial
