import os
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from models.picture.layout import lay_out
from studio.audio import write_flac
from studio.errors import EncodeError, MediaError
from studio.ffmpeg import Trial, find_ffmpeg, try_encoder
from studio.specs import CaptionSpec, EncodeSpec, PictureSpec, VisualizerSpec
from studio.store import Store
from studio.types import (
    SAMPLE_RATE,
    AvatarClip,
    Caption,
    Chapter,
    EncodedVideo,
    Mix,
    SpeechTrack,
    SpokenLine,
    Word,
)
from tasks.backdrop import check_background
from tasks.encode import Show, display_name, encode_episode, turns_of

SMALL = PictureSpec(quality="480p", fps=10)
PLAIN = SMALL.model_copy(
    update={"visualizer": None, "captions": CaptionSpec(burn=False), "show_title": False}
)
FAST = EncodeSpec(preset="ultrafast", crf=18.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def x264() -> Trial:
    return try_encoder("pyav:libx264")


def make_show(store: Store, num_samples: int, hosts: int = 0) -> Show:
    t = np.arange(num_samples) / SAMPLE_RATE
    mono = (0.3 * np.sin(2 * np.pi * 180 * t)).astype(np.float32)
    with store.draft(".flac") as draft:
        write_flac(draft.path, np.stack([mono, mono], axis=1))
    sound = draft.taken()
    line = SpokenLine(
        index=0, speaker="ANNA_B", text="Hello there", engine="tone", voice="", audio=sound,
        num_samples=num_samples, words=(), phonemes=(),
    )  # fmt: skip
    word = Word(text="Hello", start=0, num_samples=max(1, num_samples // 2))
    return Show(
        title="A title: 100% [brackets] %{x}",
        speech=SpeechTrack(
            sample_rate=SAMPLE_RATE, num_samples=num_samples, lines=(line,), starts=(0,)
        ),
        mix=Mix(
            audio=sound, speech_stem=sound, music_stem=sound, sample_rate=SAMPLE_RATE,
            num_samples=num_samples, num_channels=2, loudness_lufs=-16.0, true_peak_dbtp=-1.0,
        ),
        clips=tuple(
            AvatarClip(
                speaker="ANNA_B", engine="viseme", look="nova", portrait=None, kind="motion",
                fps=10, num_frames=num_samples * 10 // SAMPLE_RATE + 1, width_px=128,
                height_px=128, alpha=True, seed=seat, parts=(),
            )
            for seat in range(hosts)
        ),
        captions=(
            Caption(
                speaker="ANNA_B", lines=("Hello there",), start=0, num_samples=num_samples,
                words=(word,),
            ),
        ),
        chapters=(Chapter(title="All of it", start=0, num_samples=num_samples),),
    )  # fmt: skip


def check_lengths(path: Path, num_samples: int, fps: int, num_frames: int) -> None:
    """Picture, sound and timeline agree to a frame (or to a block of AAC, if that is longer)."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.start_time, audio.start_time) == (0, 0)
        times = [frame.time for frame in container.decode(video)]
        assert len(times) == num_frames
        np.testing.assert_allclose(times, np.arange(num_frames) / fps, atol=1e-4)
        assert audio.duration is not None
        assert audio.time_base is not None
        sounds_s = float(audio.duration * audio.time_base)
    length_s = num_samples / SAMPLE_RATE
    slack_s = max(1 / fps, 1024 / SAMPLE_RATE)
    assert abs(num_frames / fps - length_s) <= max(1 / fps, 1e-6)
    assert abs(sounds_s - length_s) <= slack_s


@pytest.mark.parametrize(
    ("fps", "num_samples"),
    [(1, 100), (1, 71_999), (10, 24_000), (24, 50_111), (60, 399), (60, 24_000), (120, 24_001)],
)
def test_picture_is_as_long_as_sound(fps: int, num_samples: int, store: Store, x264: Trial) -> None:
    picture = PLAIN.model_copy(update={"fps": fps, "visualizer": VisualizerSpec()})
    video = encode_episode(make_show(store, num_samples), picture, FAST, x264, store=store)
    assert video.num_frames == max(1, int(num_samples * fps / SAMPLE_RATE + 0.5))
    check_lengths(store.path(video.video), num_samples, fps, video.num_frames)


@pytest.mark.parametrize(("aspect", "hosts"), [("16:9", 2), ("9:16", 1), ("1:1", 0)])
def test_every_aspect_and_cast(aspect: str, hosts: int, store: Store, x264: Trial) -> None:
    picture = SMALL.model_copy(update={"aspect": aspect})
    show = make_show(store, SAMPLE_RATE // 2, hosts)
    done: list[tuple[int, int]] = []
    video = encode_episode(
        show, picture, FAST, x264, store=store, report=lambda *step: done.append(step)
    )
    assert done[0] == (0, 5)
    assert done[-1] == (5, 5)
    with av.open(str(store.path(video.video))) as container:
        stream = container.streams.video[0]
        layout = lay_out(picture, hosts)
        assert (stream.width, stream.height) == (layout.width, layout.height)
        last = list(container.decode(stream))[-1].to_ndarray(format="gray")
    assert last.std() > 10


def rgb_of_frames(store: Store, video: EncodedVideo) -> list[np.ndarray]:
    """Decoded frames as RGB by the equations of BT.709, chroma repeated."""
    out = []
    with av.open(str(store.path(video.video))) as container:
        for frame in container.decode(container.streams.video[0]):
            yuv = frame.to_ndarray(format="yuv420p").astype(np.float64)
            w, h = frame.width, frame.height
            y = (yuv[:h] - 16) / 219
            u, v = (
                np.kron(plane.reshape(h // 2, w // 2), np.ones((2, 2)))
                for plane in np.split((yuv[h:].reshape(2, -1) - 128) / 224, 2)
            )
            red, blue = y + 1.5748 * v, y + 1.8556 * u
            green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
            out.append(np.clip(np.stack([red, green, blue], axis=2), 0, 1) * 255)
    return out


PATCHES = [
    (230, 30, 40),
    (20, 200, 60),
    (30, 60, 220),
    (240, 240, 240),
    (12, 12, 12),
    (128, 90, 60),
]


def patch_picture(width: int = 854, height: int = 480) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    for index, colour in enumerate(PATCHES):
        x, y = (index % 3) * width // 3, (index // 3) * height // 2
        picture[y : y + height // 2, x : x + width // 3 + 1] = colour
    return picture


def worst_patch(frame: np.ndarray) -> float:
    height, width = frame.shape[:2]
    worst = 0.0
    for index, colour in enumerate(PATCHES):
        x = (index % 3) * width // 3 + width // 6
        # Upper parts of the patches: captions and visualiser lie elsewhere.
        y = (index // 3) * height // 2 + height // 8
        found = frame[y - 6 : y + 6, x - 6 : x + 6].reshape(-1, 3)
        worst = max(worst, float(np.abs(found - colour).max()))
    return worst


def test_background_in_is_background_out(store: Store, x264: Trial, tmp_path: Path) -> None:
    file = tmp_path / "back ground.png"
    Image.fromarray(patch_picture()).save(file)
    for position in ("bottom", "top"):
        picture = SMALL.model_copy(
            update={
                "background": str(file),
                "show_title": False,
                "visualizer": VisualizerSpec(position=position, height_pct=3.0),
            }
        )
        show = make_show(store, SAMPLE_RATE)
        video = encode_episode(show, picture, EncodeSpec(), x264, store=store)
        for frame in rgb_of_frames(store, video):
            assert worst_patch(frame) <= 4


def test_a_film_behind_keeps_its_colours_and_loops(
    store: Store, x264: Trial, tmp_path: Path
) -> None:
    file = tmp_path / "film's.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(5), options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 854, 480, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        for index in range(5):
            frame = av.VideoFrame.from_ndarray(np.roll(patch_picture(), index, axis=0), "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = PLAIN.model_copy(update={"background": str(file)})
    show = make_show(store, 3 * SAMPLE_RATE)
    video = encode_episode(show, picture, FAST, x264, store=store)
    frames = rgb_of_frames(store, video)
    assert len(frames) == 30
    assert max(worst_patch(frame) for frame in frames) <= 6
    # One second of film in three seconds of episode: frame 14 shows what frame 4 shows.
    assert np.abs(frames[14] - frames[4]).mean() < 2


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("missing.png", None, "no such file"),
        ("empty.png", b"", "cannot be decoded"),
        ("noise.mp4", b"\x00\x01no film at all" * 50, "cannot be decoded"),
        ("cut.jpg", b"CUT", "cannot be decoded"),
        ("sound.wav", b"WAV", "holds no picture"),
    ],
)
def test_a_bad_background_is_a_media_error(
    name: str, data: bytes | None, found: str, store: Store, x264: Trial, tmp_path: Path
) -> None:
    file = tmp_path / name
    if data == b"CUT":
        Image.fromarray(patch_picture()).save(tmp_path / "whole.jpg")
        file.write_bytes((tmp_path / "whole.jpg").read_bytes()[:2000])
    elif data == b"WAV":
        import soundfile

        soundfile.write(file, np.zeros(4800), SAMPLE_RATE)
    elif data is not None:
        file.write_bytes(data)
    picture = PLAIN.model_copy(update={"background": str(file)})
    with pytest.raises(MediaError, match=found) as caught:
        check_background(picture)
    assert name in caught.value.where
    before = len(store.media())
    show = make_show(store, 4800)
    with pytest.raises(MediaError, match=found):
        encode_episode(show, picture, FAST, x264, store=store)
    assert len(store.media()) <= before + 1
    assert not list((store.root / "drafts").iterdir())


def test_exif_turns_and_transparency_is_filled(store: Store, x264: Trial, tmp_path: Path) -> None:
    file = tmp_path / "turned.jpg"
    image = Image.new("RGB", (480, 854), (200, 30, 30))
    image.paste((30, 30, 200), (0, 0, 480, 427))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(file, exif=exif, quality=95)
    picture = PLAIN.model_copy(update={"background": str(file)})
    video = encode_episode(make_show(store, 4800), picture, FAST, x264, store=store)
    (frame,) = rgb_of_frames(store, video)
    assert frame[240, 100, 0] > 150 > frame[240, 100, 2]
    assert frame[240, 750, 2] > 150 > frame[240, 750, 0]
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (100, 100), (255, 255, 255, 0)).save(clear)
    shown = PLAIN.model_copy(update={"background": str(clear), "background_color": "#204060"})
    video = encode_episode(make_show(store, 4800), shown, FAST, x264, store=store)
    np.testing.assert_allclose(rgb_of_frames(store, video)[0][200, 400], (32, 64, 96), atol=4)


def test_the_same_show_gives_the_same_bytes(store: Store, x264: Trial) -> None:
    spec = EncodeSpec(preset="ultrafast", threads=1)
    show = make_show(store, SAMPLE_RATE // 4)
    videos = [encode_episode(show, SMALL, spec, x264, store=store).video for _ in range(2)]
    assert videos[0] == videos[1]


def test_a_report_that_raises_leaves_nothing(store: Store, x264: Trial) -> None:
    show = make_show(store, SAMPLE_RATE)
    before = store.media()

    def stop(done: int, total: int) -> None:
        if done > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_episode(show, SMALL, FAST, x264, store=store, report=stop)
    assert store.media() == before
    assert not list((store.root / "drafts").iterdir())


@pytest.mark.skipif(not find_ffmpeg(), reason="no ffmpeg program here")
def test_a_killed_ffmpeg_fails_the_stage_and_keeps_the_mix(store: Store) -> None:
    import psutil

    show = make_show(store, 20 * SAMPLE_RATE)
    before = store.media()

    def kill(done: int, total: int) -> None:
        if done == 10:
            for child in psutil.Process(os.getpid()).children():
                if "ffmpeg" in child.name():
                    child.send_signal(signal.SIGKILL)

    with pytest.raises(EncodeError, match="killed by signal 9"):
        encode_episode(show, SMALL, FAST, try_encoder("ffmpeg:libx264"), store=store, report=kill)
    assert store.media() == before
    assert store.holds(show.mix.audio)
    assert not list((store.root / "drafts").iterdir())


@pytest.mark.skipif(not find_ffmpeg(), reason="no ffmpeg program here")
def test_both_libraries_make_the_same_picture(store: Store, x264: Trial) -> None:
    show = make_show(store, SAMPLE_RATE // 4)
    trials = (x264, try_encoder("ffmpeg:libx264"))
    first, second = (
        rgb_of_frames(store, encode_episode(show, SMALL, FAST, trial, store=store))
        for trial in trials
    )
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert np.abs(one - other).mean() < 1.0


def test_turns_are_joined_and_names_are_set() -> None:
    line = SpokenLine(
        index=0, speaker="A", text="", engine="", voice="", audio=None,  # type: ignore[arg-type]
        num_samples=1000, words=(), phonemes=(),
    )  # fmt: skip
    speech = SpeechTrack(
        sample_rate=SAMPLE_RATE,
        num_samples=200_000,
        lines=(line, line, replace(line, speaker="B"), line),
        starts=(0, 2_000, 5_000, 90_000),
    )
    assert turns_of(speech, "A") == ((0, 3_000), (90_000, 91_000))
    assert display_name("HOST_ONE") == "Host One"
    assert display_name("Dr. McKay") == "Dr. McKay"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Ten times the length may not take more than a few MiB more: nothing holds the episode."""
    peaks = [peak_mib(tmp_path / str(seconds), seconds) for seconds in (6, 60)]
    assert peaks[1] - peaks[0] < 24


PEAK = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from studio.ffmpeg import try_encoder
from studio.store import Store
from studio.types import SAMPLE_RATE
from tasks.encode import encode_episode
from tests.tasks.test_encode import FAST, SMALL, make_show
store = Store(Path({folder!r}))
show = make_show(store, 6 * SAMPLE_RATE)
encode_episode(show, SMALL, FAST, try_encoder("pyav:libx264"), store=store)
show = make_show(store, {seconds} * SAMPLE_RATE)
def peak():
    # Not ru_maxrss: that one is inherited from the parent across exec.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
encode_episode(show, SMALL, FAST, try_encoder("pyav:libx264"), store=store)
print((peak() - before) / 1024)
"""


def peak_mib(folder: Path, seconds: int) -> float:
    root = str(Path(__file__).parents[2])
    script = PEAK.format(root=root, folder=str(folder), seconds=seconds)
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return float(run.stdout)
