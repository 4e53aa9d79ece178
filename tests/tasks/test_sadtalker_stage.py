"""SadTalker through the stages to the file: published form and size, the recipe's weights, a CPU.

Two engine runs at 256 px of a few frames each: what is looked at is the encoded video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("safetensors")

from models.picture.layout import lay_out
from studio.audio import write_flac
from studio.ffmpeg import try_encoder
from studio.gpu.meter import Meter
from studio.specs import (
    AvatarSpec,
    CaptionSpec,
    DeviceSpec,
    EncodeSpec,
    MixSpec,
    PictureSpec,
    SadTalkerSpec,
    VoiceSpec,
)
from studio.types import SAMPLE_RATE, AvatarClip, Mix, Presenters, Rehearsal, SpeechTrack, StepUse
from tasks import acting
from tasks.avatar import animate
from tasks.encode import Show, encode_episode
from tasks.film import IDLE_LINE
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.speech import speak
from tests.tasks.small_presenter import save_portrait

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

FPS = 4
PORTRAIT_PX = 200
PICTURE = PictureSpec(
    quality="480p", fps=FPS, visualizer=None, captions=CaptionSpec(burn=False), show_title=False
)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    from tests.models.avatar.published_weights import save_gfpgan, save_sadtalker

    folder = tmp_path_factory.mktemp("sadtalker")
    save_sadtalker(folder)
    save_gfpgan(folder)
    return str(folder)


@pytest.fixture
def meter() -> Iterator[Meter]:
    with Meter() as meter:
        yield meter


@pytest.fixture
def run(run: Run, meter: Meter, monkeypatch: pytest.MonkeyPatch) -> Run:
    # Two frames of listening instead of eight: each costs ten seconds of a processor.
    monkeypatch.setattr(acting, "IDLE_S", 0.5)
    return replace(run, meter=meter, device=DeviceSpec(device="cpu", threads=1))


@pytest.fixture
def spoken(tmp_path: Path, run: Run) -> tuple[Rehearsal, SpeechTrack]:
    save_portrait(tmp_path, PORTRAIT_PX)
    path = tmp_path / "talk.txt"
    path.write_text("Avatar: me.png\n\nWe are on air.\n", encoding="utf-8")
    heard = rehearse.fn(Order(script=str(path)), run=run)
    return heard, speak.fn(heard, VoiceSpec(rate_wpm=260), MixSpec(), 7, run=run)


def _animated(
    spoken: tuple[Rehearsal, SpeechTrack], weights: str, run: Run, acted: SadTalkerSpec
) -> Presenters:
    spec = AvatarSpec(engine=("sadtalker", "viseme"), weights_dir=weights, sadtalker=acted, batch=2)
    made: Presenters = animate.fn(*spoken, spec, PICTURE, 7, run=run)
    return made


def _encoded(speech: SpeechTrack, made: Presenters, run: Run) -> NDArray[np.uint8]:
    """The frames of the real file (n, h, w), luma, where the presenter stands; the file declares
    as many as it holds.
    """
    silence = np.zeros((speech.num_samples, 2), np.float32)
    with run.store.draft(".flac") as draft:
        write_flac(draft.path, silence)
    sound = draft.taken()
    mix = Mix(
        audio=sound,
        speech_stem=sound,
        music_stem=sound,
        sample_rate=SAMPLE_RATE,
        num_samples=speech.num_samples,
        num_channels=2,
        loudness_lufs=-16.0,
        true_peak_dbtp=-1.0,
    )
    show = Show(title="On air", speech=speech, mix=mix, clips=made.clips)
    encode = EncodeSpec(preset="ultrafast", crf=12.0)
    video = encode_episode(show, PICTURE, encode, try_encoder("pyav:libx264"), store=run.store)
    (host,) = lay_out(PICTURE, 1).hosts
    with av.open(str(run.store.path(video.video))) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="gray") for frame in file.decode(stream)]
        assert stream.frames == len(frames) == video.num_frames
        assert (stream.width, stream.height) == (video.width_px, video.height_px)
    assert len(frames) == -(-speech.num_samples * FPS // SAMPLE_RATE)
    inside = np.stack(frames)[:, host.y : host.y + host.h, host.x : host.x + host.w]
    return np.asarray(inside, np.uint8)


def _spoken_frames(clip: AvatarClip, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    (part,) = [part for part in clip.parts if part.line != IDLE_LINE]
    shown = frames[part.start_frame : part.start_frame + part.num_frames]
    return shown.astype(np.int64)


def _steps(meter: Meter) -> dict[str, StepUse]:
    return {step.step: step for use in meter.uses() for step in use.steps}


def test_a_cropped_still_face_is_enhanced_and_encoded(
    spoken: tuple[Rehearsal, SpeechTrack], weights: str, run: Run, meter: Meter
) -> None:
    acted = SadTalkerSpec(frame="crop", still=True, enhancer="gfpgan")
    with meter.stage("avatar"):
        made = _animated(spoken, weights, run, acted)
    assert not made.fallbacks
    (clip,) = made.clips
    assert (clip.engine, clip.kind, clip.fps) == ("sadtalker", "frames", FPS)
    # GFPGAN paints 512 px however small the renderer's frame is.
    assert clip.width_px == 512
    (info,) = made.engines
    assert (info.name, info.commercial) == ("sadtalker", False)
    steps = _steps(meter)
    filmed = sum(part.num_frames for part in clip.parts)
    for name in ("detection", "3DMM", "source features"):
        assert steps[name].times == 1
    assert steps["audio to coefficients"].times == len(clip.parts)
    batches = sum(-(-part.num_frames // 2) for part in clip.parts)
    for name in ("rendering", "enhancement", "resizing"):
        assert steps[name].times == batches
    assert steps["storing frames"].times == filmed
    assert steps["rendering"].wall_s > steps["3DMM"].wall_s > 0
    assert all(step.gpu_s is None for step in steps.values())
    (row,) = [use for use in meter.uses() if use.stage == "avatar"]
    assert sum(step.wall_s for step in row.steps) <= row.wall_s

    shown = _spoken_frames(clip, _encoded(spoken[1], made, run))
    assert (np.abs(np.diff(shown, axis=0)).max(axis=(1, 2)) > 8).all()
    assert shown.std() > 10


def test_a_face_moves_within_its_portrait_and_the_rest_stands(
    spoken: tuple[Rehearsal, SpeechTrack], weights: str, run: Run, meter: Meter
) -> None:
    with meter.stage("avatar"):
        made = _animated(spoken, weights, run, SadTalkerSpec(frame="full"))
    (clip,) = made.clips
    assert (clip.engine, clip.width_px, clip.height_px) == ("sadtalker", PORTRAIT_PX, PORTRAIT_PX)
    assert "paste" in _steps(meter)
    known = {path: path.stat().st_ino for path in run.store.media()}
    again = _animated(spoken, weights, run, SadTalkerSpec(frame="full"))
    assert again == made
    assert {path: path.stat().st_ino for path in run.store.media()} == known

    shown = _spoken_frames(clip, _encoded(spoken[1], made, run))
    moved = np.abs(np.diff(shown, axis=0))
    side = moved.shape[1]
    assert (moved[:, side // 3 : 2 * side // 3].max(axis=(1, 2)) > 8).all()
    # The animated square leaves a seventh of the picture on either side: there only the encoder's
    # rounding moves.
    rim = np.concatenate((moved[..., : side // 12], moved[..., -side // 12 :]), axis=-1)
    assert np.percentile(rim, 99) <= 3
