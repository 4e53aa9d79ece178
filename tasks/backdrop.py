"""The user's background: a picture or a film from a file, as planes in the frame's size.

A picture is decoded once. A film is decoded as it goes, scaled and cropped to cover the frame by
FFmpeg's own scaler straight into BT.709 limited 4:2:0, and started again at its end.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from models.picture.background import MovingBackdrop, StillBackdrop, cover_fit
from models.picture.colour import rgb_of
from models.picture.layout import Layout
from models.picture.planes import Planes
from models.picture.scene import Backdrop
from models.picture.studio_set import studio_set
from studio.errors import MediaError
from studio.specs import PictureSpec
from tasks.intake import fed, reading

REMEDY = "Give a JPEG, PNG or WebP picture, or an MP4, MOV, MKV or WebM film"

LARGEST_PICTURE_MPX = 250
"""Beyond this a still is refused before it is decoded: 0.75 GB as RGB."""


def open_backdrop(picture: PictureSpec, layout: Layout, seed: int) -> Backdrop:
    """The file that `picture.background` names, or the generated studio of `background_color`.

    Raises `MediaError` when the file is missing or cannot be decoded.
    """
    colour = picture.background_color
    if not picture.background:
        return StillBackdrop(studio_set(layout, colour, seed))
    file = Path(picture.background).expanduser()
    with reading():
        rgb = read_still(file, colour)
    if rgb is not None:
        return StillBackdrop(Planes.from_rgb(cover_fit(rgb, layout.width, layout.height)))

    def film() -> Iterator[tuple[float, float, Planes]]:
        return fed(read_film(file, layout.width, layout.height))

    return MovingBackdrop(film, picture.fps)


def check_background(picture: PictureSpec) -> None:
    """Decode the first picture of the background, before any other work.

    Raises `MediaError` when that fails.
    """
    if picture.background:
        file = Path(picture.background).expanduser()
        if read_still(file, picture.background_color) is None:
            next(read_film(file, 64, 36))


def read_still(path: Path, behind: str) -> NDArray[np.uint8] | None:
    """A still as upright sRGB `(h, w, 3)`, over the colour `behind` where it is transparent; None
    when the file is no still.

    Raises `MediaError` when there is no such file or it is cut short.
    """
    if not path.is_file():
        raise MediaError(str(path), "no such file", REMEDY)
    try:
        with Image.open(path) as image:
            if getattr(image, "is_animated", False):
                return None
            if image.width * image.height > LARGEST_PICTURE_MPX * 1_000_000:
                raise MediaError(str(path), f"{image.width}x{image.height} is too large", REMEDY)
            upright = ImageOps.exif_transpose(_in_srgb(image))
            return _opaque(upright, behind)
    except UnidentifiedImageError:
        return None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(str(path), f"cannot be decoded ({error})", REMEDY) from error


def _in_srgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, srgb, outputMode=mode)
    except ImageCms.PyCMSError:
        # A broken profile is common in files from cameras; the pixels are then taken as sRGB.
        return image
    return converted if converted is not None else image


def _opaque(image: Image.Image, behind: str) -> NDArray[np.uint8]:
    if image.has_transparency_data:
        base = Image.new("RGBA", image.size, (*rgb_of(behind), 255))
        image = Image.alpha_composite(base, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"), np.uint8)


def read_film(path: Path, width: int, height: int) -> Iterator[tuple[float, float, Planes]]:
    """Every picture of a film as `(time_s, duration_s, planes)`, covering `width` x `height`.

    Raises `MediaError` when the file is missing, holds no picture or cannot be decoded.
    """
    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise MediaError(str(path), "holds no picture", REMEDY)
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            period = 1.0 / float(stream.average_rate or 25)
            graphs: list[Graph] = []
            for frame in container.decode(stream):
                if not graphs:
                    graphs.append(_cover_graph(stream, frame.rotation, width, height))
                graphs[0].push(frame)
                covered = graphs[0].pull()
                if not isinstance(covered, av.VideoFrame):
                    raise MediaError(str(path), "holds no picture", REMEDY)
                time_s = count * period if frame.pts is None else float(frame.time)
                yield time_s, period, _planes_of(covered, width, height)
                count += 1
    except av.FFmpegError as error:
        raise MediaError(str(path), f"cannot be decoded ({error.strerror})", REMEDY) from error
    if not count:
        raise MediaError(str(path), "holds no picture that can be decoded", REMEDY)


def _cover_graph(stream: av.VideoStream, rotation: int, width: int, height: int) -> Graph:
    """Upright, scaled to cover, cropped to the middle, BT.709 limited 4:2:0. Numbers only go in."""
    graph = Graph()
    chain = [graph.add_buffer(template=stream)]
    turns = {90: ["2"], -90: ["1"], 270: ["1"], -270: ["2"], 180: ["1", "1"], -180: ["1", "1"]}
    chain += [graph.add("transpose", turn) for turn in turns.get(rotation, [])]
    cover = "force_original_aspect_ratio=increase:force_divisible_by=2"
    target = "out_color_matrix=bt709:out_range=limited:flags=bicubic"
    chain.append(graph.add("scale", f"{width}:{height}:{cover}:{target}"))
    chain.append(graph.add("crop", f"{width}:{height}"))
    chain.append(graph.add("format", "yuv420p"))
    chain.append(graph.add("buffersink"))
    for first, second in itertools.pairwise(chain):
        first.link_to(second)
    graph.configure()
    return graph


def _planes_of(frame: av.VideoFrame, width: int, height: int) -> Planes:
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:rows, :columns]
        for plane, (rows, columns) in zip(frame.planes, sizes, strict=True)
    )
    return Planes(y, u, v)
