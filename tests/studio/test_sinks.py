import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from studio.audio import write_flac
from studio.encoders import open_sink
from studio.errors import EncodeError, OutputError
from studio.ffmpeg import Trial, find_ffmpeg, try_encoder
from studio.pipe_sink import ffmetadata
from studio.sinks import Job, Sink, failure, h264_level, video_options
from studio.specs import EncodeSpec
from studio.types import SAMPLE_RATE, Chapter

needs_ffmpeg = pytest.mark.skipif(not find_ffmpeg(), reason="no ffmpeg program here")
SINKS = ["pyav:libx264", pytest.param("ffmpeg:libx264", marks=needs_ffmpeg)]
ODD = "50% = half; #1 [x] \\ 'q' \"d\" שלום 🎧"


def make_job(folder: Path, seconds: float, fps: int, **changes: object) -> Job:
    sound = folder / "mix.flac"
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    # A click at every half second: where it is heard is where it was put.
    mono = np.where((t * 2 % 1.0) * SAMPLE_RATE / 2 < 48, 0.8, 0.0).astype(np.float32)
    write_flac(sound, np.stack([mono, mono], axis=1))
    values: dict[str, object] = {
        "width": 64,
        "height": 48,
        "fps": fps,
        "num_frames": max(1, round(seconds * fps)),
        "sound": sound,
        "title": ODD,
        "chapters": (
            Chapter(title=ODD, start=0, num_samples=len(t) // 2),
            Chapter(title="Two", start=len(t) // 2, num_samples=len(t) - len(t) // 2),
        ),
        **changes,
    }
    return Job(**values)  # type: ignore[arg-type]


def draw(sink: Sink, frame: int) -> None:
    """Eight bars, black or white: the frame's number in binary."""
    y = sink.planes[0]
    wide = y.shape[1] // 8
    for bit in range(8):
        y[:, bit * wide : (bit + 1) * wide] = 220 if frame >> bit & 1 else 30


def number_in(frame: av.VideoFrame) -> int:
    grey = frame.to_ndarray(format="gray")
    wide = grey.shape[1] // 8
    return sum(1 << bit for bit in range(8) if grey[24, bit * wide + wide // 2] > 128)


def encode(name: str, job: Job, path: Path, spec: EncodeSpec | None = None) -> None:
    trial = try_encoder(name)
    with open_sink(trial, spec or EncodeSpec(gop_s=0.5), job, path) as sink:
        for frame in range(job.num_frames):
            draw(sink, frame)
            sink.send()


@pytest.mark.parametrize("name", SINKS)
def test_the_file_is_as_it_must_be(name: str, tmp_path: Path) -> None:
    job = make_job(tmp_path, 4.0, 30)
    path = tmp_path / "a b % {x} 'c'.mp4"
    encode(name, job, path)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        codec = video.codec_context
        assert (video.type, codec.name, codec.profile) == ("video", "h264", "High")
        assert container.streams[0] is video
        assert codec.pix_fmt == "yuv420p"
        assert video.average_rate == 30
        assert codec.has_b_frames
        assert (codec.color_range, codec.colorspace) == (1, 1)
        assert (codec.color_primaries, codec.color_trc) == (1, 1)
        assert codec.sample_aspect_ratio in (None, 1)
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", SAMPLE_RATE, 2)
        assert audio.codec_context.profile == "LC"
        assert container.metadata["title"] == ODD
        assert [c["metadata"]["title"] for c in container.chapters()] == [ODD, "Two"]
        assert video.start_time == 0
        assert audio.start_time == 0
        frames = list(container.decode(video))
        assert [number_in(frame) for frame in frames] == list(range(120))
        assert [round((frame.time or 0.0) * 30, 3) for frame in frames] == list(range(120))
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("name", SINKS)
def test_groups_are_closed_and_short(name: str, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    encode(name, make_job(tmp_path, 3.0, 20), path, EncodeSpec(gop_s=0.5))
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(container.streams.video[0]) if p.dts is not None]
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    assert np.diff([*keys, len(packets)]).max() <= 10
    for first, last in zip(keys, [*keys[1:], len(packets)], strict=True):
        # Closed: within a group nothing is shown before its key frame.
        assert min(p.pts for p in packets[first:last] if p.pts is not None) == packets[first].pts


@pytest.mark.parametrize("name", SINKS)
def test_sound_is_where_it_was_put(name: str, tmp_path: Path) -> None:
    job = make_job(tmp_path, 3.0, 25)
    path = tmp_path / "v.mp4"
    encode(name, job, path)
    with av.open(str(path)) as container:
        audio = container.streams.audio[0]
        blocks = [
            (round((frame.time or 0.0) * SAMPLE_RATE), frame.to_ndarray()[0])
            for frame in container.decode(audio)
        ]
    heard = np.zeros(SAMPLE_RATE * 4, np.float32)
    for at, block in blocks:
        heard[max(0, at) : at + len(block)] = block[max(0, -at) :]
    clicks = np.flatnonzero((heard[1:] > 0.4) & (heard[:-1] <= 0.4))
    near = [min(abs(clicks - second * SAMPLE_RATE // 2)) for second in range(1, 6)]
    assert max(near) < 48
    end = blocks[-1][0] + len(blocks[-1][1])
    assert abs(end - 3 * SAMPLE_RATE) <= 1024


@pytest.mark.parametrize("name", SINKS)
def test_a_finished_soundtrack_is_copied_packet_by_packet(name: str, tmp_path: Path) -> None:
    job = make_job(tmp_path, 2.0, 25)
    encode("pyav:libx264", job, tmp_path / "first.mp4")
    track = tmp_path / "sound.m4a"
    with av.open(str(tmp_path / "first.mp4")) as source, av.open(str(track), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path = tmp_path / "second.mp4"
    encode(name, make_job(tmp_path, 2.0, 25, sound=track), path)
    assert sound_packets(path) == sound_packets(track)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].start_time == 0


def sound_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("fps", [1, 24, 60, 120])
def test_picture_and_sound_end_together(name: str, fps: int, tmp_path: Path) -> None:
    job = make_job(tmp_path, 2.0, fps, chapters=())
    path = tmp_path / "v.mp4"
    encode(name, job, path)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.frames == 2 * fps
        assert video.duration is not None
        assert video.time_base is not None
        assert float(video.duration * video.time_base) == pytest.approx(2.0, abs=1e-3)
        assert audio.duration is not None
        assert audio.time_base is not None
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=1024 / SAMPLE_RATE)


def send(name: str, job: Job, path: Path, frames: int, kill_at: int | None = None) -> None:
    with open_sink(try_encoder(name), EncodeSpec(), job, path) as sink:
        for frame in range(frames):
            if frame == kill_at:
                (child,) = ffmpeg_children(os.getpid())
                child.send_signal(signal.SIGKILL)
            sink.send()


def test_a_missing_frame_is_no_success(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1.0, 10)
    with pytest.raises(EncodeError, match="9 of 10 frames"):
        send("pyav:libx264", job, tmp_path / "v.mp4", 9)


@needs_ffmpeg
def test_a_killed_ffmpeg_is_an_error_that_says_so(tmp_path: Path) -> None:
    job = make_job(tmp_path, 60.0, 30, width=640, height=480)
    with pytest.raises(EncodeError, match="killed by signal 9") as caught:
        send("ffmpeg:libx264", job, tmp_path / "v.mp4", job.num_frames, kill_at=20)
    assert "all earlier work is kept" in caught.value.remedy
    assert caught.value.exit_code == 2
    assert not ffmpeg_children(os.getpid())


@needs_ffmpeg
def test_an_ffmpeg_that_refuses_says_why(tmp_path: Path) -> None:
    job = make_job(tmp_path, 1.0, 10, sound=tmp_path / "missing.flac")
    with pytest.raises(EncodeError, match=r"missing\.flac"):
        send("ffmpeg:libx264", job, tmp_path / "v.mp4", 10)


@needs_ffmpeg
def test_an_interruption_leaves_no_process(tmp_path: Path) -> None:
    job = make_job(tmp_path, 5.0, 30)
    trial = try_encoder("ffmpeg:libx264")
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_sink(trial, EncodeSpec(), job, tmp_path / "v.mp4") as sink,
    ):
        sink.send()
        raise KeyboardInterrupt
    assert not ffmpeg_children(os.getpid())
    assert not list(tmp_path.glob("*.ffmetadata"))


ORPHAN = """
import sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.studio.test_sinks import make_job
from studio.ffmpeg import try_encoder
from studio.encoders import open_sink
from studio.specs import EncodeSpec
folder = Path({folder!r})
job = make_job(folder, 5.0, 30)
with open_sink(try_encoder("ffmpeg:libx264"), EncodeSpec(), job, folder / "v.mp4") as sink:
    sink.send()
    print("ready", flush=True)
    time.sleep(60)
"""


@needs_ffmpeg
def test_ffmpeg_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    script = ORPHAN.format(root=root, folder=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        (child,) = ffmpeg_children(parent.pid)
        parent.kill()
        parent.wait()
        gone, alive = psutil.wait_procs([child], timeout=10)
    assert gone
    assert not alive


def ffmpeg_children(pid: int) -> list[psutil.Process]:
    return [c for c in psutil.Process(pid).children() if "ffmpeg" in c.name()]


@pytest.mark.parametrize(
    ("said", "number"),
    [("No space left on device", None), ("File too large", None), ("", 28), ("", 27)],
)
def test_a_full_disk_is_an_output_error(said: str, number: int | None) -> None:
    assert isinstance(failure("pyav:libx264", said, number), OutputError)


@pytest.mark.parametrize(
    ("size", "level"),
    [
        ((854, 480, 30), "3.1"),
        ((1280, 720, 30), "3.1"),
        ((1920, 1080, 30), "4.0"),
        ((1080, 1920, 60), "4.2"),
        ((3840, 2160, 30), "5.1"),
        ((3840, 2160, 60), "5.2"),
        ((3840, 2160, 120), "6.0"),
    ],
)
def test_levels(size: tuple[int, int, int], level: str) -> None:
    assert h264_level(*size) == level


@pytest.mark.parametrize("preset", ["ultrafast", "medium"])
def test_the_profile_is_high_at_any_preset(preset: str, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    spec = EncodeSpec.model_validate({"preset": preset})
    encode("pyav:libx264", make_job(tmp_path, 1.0, 25), path, spec)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.profile == "High"
        sps = bytes(container.streams.video[0].codec_context.extradata or b"")
    assert sps[1] == 100
    assert sps[3] == 11


def test_settings_reach_the_encoder(tmp_path: Path) -> None:
    job = make_job(tmp_path, 3.0, 25, width=320, height=240)
    rng = np.random.default_rng(1)
    noise = rng.integers(20, 230, (240, 320), np.uint8)
    sizes = []
    for spec in (EncodeSpec(crf=18.0), EncodeSpec(crf=40.0), EncodeSpec(crf=40.0, audio_kbps=320)):
        path = tmp_path / "v.mp4"
        with open_sink(try_encoder("pyav:libx264"), spec, job, path) as sink:
            for frame in range(job.num_frames):
                np.copyto(sink.planes[0], np.roll(noise, frame, axis=1))
                sink.send()
        with av.open(str(path)) as container:
            video = sum(p.size for p in container.demux(container.streams.video[0]))
        sizes.append((video, path.stat().st_size))
    assert sizes[0][0] > 2 * sizes[1][0]
    assert sizes[2][1] != sizes[1][1]


def test_nvenc_options_ask_for_the_same_kind_of_stream(tmp_path: Path) -> None:
    job = make_job(tmp_path, 0.5, 30)
    options = video_options("h264_nvenc", EncodeSpec(gop_s=1.0, crf=23.0), job)
    assert options["g"] == "30"
    assert (options["bf"], options["cq"], options["profile"]) == ("2", "23", "high")


def test_metadata_is_escaped(tmp_path: Path) -> None:
    job = make_job(tmp_path, 0.1, 10, title="a=b;c#d\\e\nf", chapters=())
    assert ffmetadata(job) == ";FFMETADATA1\ntitle=a\\=b\\;c\\#d\\\\e\\\nf\n"


def test_a_failing_encoder_is_an_encode_error(tmp_path: Path) -> None:
    trial = Trial(library="pyav", encoder="libx264", binary="", cause="works", said="")
    job = make_job(tmp_path, 1.0, 10, width=20_000, height=20_000, num_frames=1)
    started = time.monotonic()
    with (
        pytest.raises(EncodeError, match="pyav:libx264"),
        open_sink(trial, EncodeSpec(), job, tmp_path / "v.mp4") as sink,
    ):
        sink.send()
    assert time.monotonic() - started < 30
