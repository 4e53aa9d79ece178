"""The release gate's eye: codec, colour, timing, structure, black and frozen pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studio.sinks import h264_level
from studio.timeline import frame_count
from studio.types import SAMPLE_RATE, Check, EncodedVideo
from tasks.promise import AAC_BLOCK, Expected, check, overlap
from tasks.watching import Watched

STILL_SPEECH_S = 5.0
"""For so long a picture that should move may be the same at every key frame while somebody
speaks: never, where a host breathes or a wave moves.
"""

BLACK_S = 0.5
"""A single black key frame lasts longer than this."""


def check_picture(watched: Watched, expected: Expected) -> Iterator[Check]:
    """Codec, colour, timing, structure and content of the picture track."""
    video = expected.video
    if video is None:
        return
    yield from _check_stream(watched, video)
    wanted = frame_count(expected.num_samples, video.fps)
    yield check(
        "frames",
        f"{watched.num_frames}, {watched.uneven} uneven, at {1 / watched.frame_s} fps",
        f"{wanted}, 0 uneven, at {video.fps} fps",
        watched.num_frames == wanted and not watched.uneven and watched.frame_s * video.fps == 1,
    )
    length_s = float(watched.num_frames * watched.frame_s)
    differs = length_s - expected.num_samples / SAMPLE_RATE
    yield check(
        "picture against sound",
        f"{differs * 1000:+.1f} ms, starts at {watched.start_s * 1000:.1f} ms",
        f"±{1000 / video.fps:.1f} ms, 0 ms",
        abs(differs) <= 1 / video.fps and watched.start_s == 0.0,
    )
    yield check(
        "last groups",
        f"{watched.num_decoded_at_end} of {watched.num_packets_at_end} frames decoded",
        "all",
        watched.num_decoded_at_end == watched.num_packets_at_end,
    )
    yield from _check_structure(watched, expected, video.fps)
    black = max((end - start for start, end in watched.black), default=0.0)
    yield check("black picture", f"{black:.1f} s", f"<= {BLACK_S} s", black <= BLACK_S)
    if expected.moves:
        still = max((_spoken_s(span, expected.spoken) for span in watched.still), default=0.0)
        limit = f"<= {STILL_SPEECH_S} s of speech"
        yield check("frozen picture", f"{still:.1f} s", limit, still <= STILL_SPEECH_S)


def _check_stream(watched: Watched, video: EncodedVideo) -> Iterator[Check]:
    h264 = video.encoder.endswith(("libx264", "h264_nvenc"))
    if h264:
        legal = h264_level(watched.width, watched.height, video.fps)
        least = round(float(legal) * 10)
        what = f"{watched.codec} {watched.profile} {watched.level / 10:.1f}"
        fits = watched.codec == "h264" and watched.profile == "High" and watched.level >= least
        yield check("codec", what, f"h264 High, level >= {legal}", fits)
    else:
        codec = "hevc" if "hevc" in video.encoder else "av1"
        yield check("codec", watched.codec, codec, codec in watched.codec)
    shape = f"{watched.width}x{watched.height} {watched.pix_fmt}"
    wanted = f"{video.width_px}x{video.height_px} yuv420p"
    yield check("picture format", shape, wanted, shape == wanted)
    tagged = watched.colours == (1, 1, 1) and watched.colour_range == 1
    tags = f"matrix, primaries, transfer {watched.colours}, range {watched.colour_range}"
    yield check("colour tags", tags, "BT.709 (1, 1, 1), limited (1)", tagged)
    aspect = watched.sample_aspect
    yield check("pixel aspect", str(aspect), "1", aspect is not None and aspect == 1)


def _check_structure(watched: Watched, expected: Expected, fps: int) -> Iterator[Check]:
    most = max(1, round(expected.gop_s * fps))
    yield check(
        "groups of pictures",
        f"{watched.longest_gop} frames, {watched.open_gops} open, {watched.b_frames} B-frames",
        f"<= {most} frames, 0 open, <= 2 B-frames",
        watched.longest_gop <= most and not watched.open_gops and watched.b_frames <= 2,
    )
    first = watched.layout.moov_first
    yield check("index", "first" if first else "last", "first", first)
    edits = {kind: list_ for kind, list_ in watched.layout.edits if kind in ("vide", "soun")}
    shown = ", ".join(f"{kind} {[at for _, at in list_]}" for kind, list_ in edits.items())
    clean = all(
        len(list_) <= 1
        and all(0 <= at <= (0 if kind == "vide" else 2 * AAC_BLOCK) for _, at in list_)
        for kind, list_ in edits.items()
    )
    yield check("edit lists", shown or "none", "picture from 0, sound after its priming", clean)


def _spoken_s(span: tuple[float, float], spoken: Sequence[tuple[int, int]]) -> float:
    one = (round(span[0] * SAMPLE_RATE), round(span[1] * SAMPLE_RATE))
    return sum(overlap(one, line) for line in spoken) / SAMPLE_RATE
