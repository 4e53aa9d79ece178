import numpy as np
import pytest
from numpy.typing import NDArray

from models.picture.background import MovingBackdrop, StillBackdrop, cover_fit
from models.picture.colour import yuv_of
from models.picture.hearing import Hearing
from models.picture.host_layer import Host
from models.picture.layout import Layout, lay_out
from models.picture.planes import Planes
from models.picture.scene import Programme, Scene
from models.picture.studio_set import studio_set
from studio.specs import CaptionSpec, PictureSpec, VisualizerSpec
from studio.types import SAMPLE_RATE, Caption, Chapter

Picture = NDArray[np.uint8]


class Disc:
    """A painter: a red disc that moves a pixel a frame."""

    def __init__(self, size_px: int) -> None:
        self.size_px = size_px
        self.changed = (0, 0, size_px, size_px)
        self.asked: list[int] = []

    def paint(self, frame: int) -> NDArray[np.uint8]:
        self.asked.append(frame)
        size = self.size_px
        y, x = np.mgrid[0:size, 0:size]
        inside = np.hypot(x - size / 2 - frame, y - size / 2) < size / 3
        planes = np.zeros((4, size, size), np.uint8)
        for plane, value in zip(planes, (*yuv_of("#d02020"), 255), strict=True):
            plane[inside] = value
        return planes


def silence(count: int) -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


def programme(layout: Layout, **changes: object) -> Programme:
    hosts = tuple(
        Host(name=name, painter=Disc(box.w), fps=10, turns=((0, SAMPLE_RATE * 60),))
        for name, box in zip("AB", layout.hosts, strict=False)
    )
    values: dict[str, object] = {
        "title": "",
        "hosts": hosts,
        "captions": (),
        "chapters": (),
        "desk": True,
        **changes,
    }
    return Programme(**values)  # type: ignore[arg-type]


SPEC = PictureSpec(quality="480p", fps=10, visualizer=None, captions=CaptionSpec(burn=False))


def scene(picture: PictureSpec, hosts: int, ground: Planes, **changes: object) -> Scene:
    layout = lay_out(picture, hosts)
    told = programme(layout, **changes)
    return Scene(picture, layout, told, StillBackdrop(ground), Hearing(silence))


def ground(layout: Layout) -> Planes:
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 255, (layout.height, layout.width, 3), np.uint8)
    return Planes.from_rgb(rgb)


def test_a_frame_does_not_depend_on_those_before() -> None:
    """Drawn step by step, a frame equals one drawn on a fresh canvas: nothing is left over."""
    picture = SPEC.model_copy(
        update={
            "visualizer": VisualizerSpec(style="bars", position="center", height_pct=30.0),
            "captions": CaptionSpec(),
        }
    )
    cue = Caption(speaker="A", lines=("Hello there",), start=9_600, num_samples=19_200)
    chapter = Chapter(title="One", start=0, num_samples=9_600)
    layout = lay_out(picture, 2)
    changes = {
        "title": "Title",
        "captions": (cue,),
        "chapters": (chapter, Chapter(title="Two", start=9_600, num_samples=SAMPLE_RATE)),
    }
    behind = ground(layout)
    step = Planes.empty(layout.width, layout.height)
    stepped = scene(picture, 2, behind, **changes)
    for frame in range(8):
        stepped.draw(frame, step)
    fresh_scene = scene(picture, 2, behind, **changes)
    for frame in range(8):
        fresh = Planes.empty(layout.width, layout.height)
        if frame < 7:
            fresh_scene.draw(frame, fresh)
    fresh.copy_from(behind)
    fresh_scene.draw(7, fresh)
    # The caption and the title, which did not change at frame 7, are not on the fresh canvas.
    boxes = [b for b in (layout.captions, layout.title, layout.chapter) if b is not None]
    for box in boxes:
        fresh.part(box).copy_from(step.part(box))
    np.testing.assert_array_equal(step.y, fresh.y)
    np.testing.assert_array_equal(step.u, fresh.u)


def test_the_background_is_bit_identical_where_nothing_stands() -> None:
    layout = lay_out(SPEC, 1)
    behind = ground(layout)
    canvas = Planes.empty(layout.width, layout.height)
    drawn = scene(SPEC, 1, behind)
    for frame in range(3):
        drawn.draw(frame, canvas)
    (box,) = layout.hosts
    mask = np.ones(canvas.y.shape, bool)
    mask[box.y : box.bottom, box.x : box.right] = False
    np.testing.assert_array_equal(canvas.y[mask], behind.y[mask])
    half = mask[::2, ::2]
    np.testing.assert_array_equal(canvas.u[half], behind.u[half])


def test_a_host_has_its_own_colour_over_any_background() -> None:
    layout = lay_out(SPEC, 1)
    canvas = Planes.empty(layout.width, layout.height)
    scene(SPEC, 1, ground(layout)).draw(0, canvas)
    (box,) = layout.hosts
    y, x = box.y + box.h // 2, box.x + box.w // 2
    found = (canvas.y[y, x], canvas.u[y // 2, x // 2], canvas.v[y // 2, x // 2])
    assert found == yuv_of("#d02020")


def test_a_painter_of_another_size_is_scaled_into_its_box() -> None:
    layout = lay_out(SPEC, 1)
    host = Host(name="A", painter=Disc(64), fps=10, turns=())
    canvas = Planes.empty(layout.width, layout.height)
    told = programme(layout, hosts=(host,))
    Scene(SPEC, layout, told, StillBackdrop(ground(layout)), Hearing(silence)).draw(0, canvas)
    (box,) = layout.hosts
    assert canvas.y[box.y + box.h // 2, box.x + box.w // 2] == yuv_of("#d02020")[0]


def test_a_host_at_half_the_rate_is_painted_once_per_moment() -> None:
    layout = lay_out(SPEC, 1)
    painter = Disc(layout.hosts[0].w)
    host = Host(name="A", painter=painter, fps=5, turns=())
    canvas = Planes.empty(layout.width, layout.height)
    told = programme(layout, hosts=(host,))
    drawn = Scene(SPEC, layout, told, StillBackdrop(ground(layout)), Hearing(silence))
    for frame in range(6):
        drawn.draw(frame, canvas)
    assert painter.asked == [0, 1, 2]


def test_without_a_desk_the_lower_edge_fades() -> None:
    layout = lay_out(SPEC, 1)
    (box,) = layout.hosts

    class Full(Disc):
        def paint(self, frame: int) -> NDArray[np.uint8]:
            planes = np.empty((4, self.size_px, self.size_px), np.uint8)
            planes[:] = np.array([200, 128, 128, 255])[:, None, None]
            return planes

    canvas = Planes.empty(layout.width, layout.height)
    host = Host(name="", painter=Full(box.w), fps=10, turns=())
    told = programme(layout, hosts=(host,), desk=False)
    behind = Planes.empty(layout.width, layout.height)
    Scene(SPEC, layout, told, StillBackdrop(behind), Hearing(silence)).draw(0, canvas)
    column = canvas.y[box.y : box.bottom, box.x + 4].astype(int)
    assert column[box.h // 2] == 200
    assert column[-1] < 30
    assert (np.diff(column) <= 0).all()


def test_who_speaks_has_the_brighter_name() -> None:
    layout = lay_out(SPEC, 2)
    half = SAMPLE_RATE * 3
    hosts = tuple(
        Host(name=name, painter=Disc(box.w), fps=1, turns=turns)
        for name, box, turns in zip(
            ("Ann", "Ben"), layout.hosts, (((0, half),), ((half, 2 * half),)), strict=True
        )
    )
    canvas = Planes.empty(layout.width, layout.height)
    told = programme(layout, hosts=hosts)
    drawn = Scene(SPEC, layout, told, StillBackdrop(ground(layout)), Hearing(silence))
    brightest: list[tuple[int, ...]] = []
    for frame in range(60):
        drawn.draw(frame, canvas)
        brightest.append(tuple(int(canvas.part(box).y.max()) for box in layout.plates))
    assert brightest[20][0] > brightest[20][1]
    assert brightest[55][1] > brightest[55][0]


def test_the_generated_set_is_seeded_and_follows_its_colour() -> None:
    layout = lay_out(SPEC, 2)
    first, again = (studio_set(layout, "#16323a", 1) for _ in range(2))
    np.testing.assert_array_equal(first.y, again.y)
    assert (studio_set(layout, "#16323a", 2).y != first.y).mean() > 0.2
    red = studio_set(layout, "#5a1a1a", 1)
    assert red.v.mean() > first.v.mean() + 8


def test_the_set_does_not_band() -> None:
    """Dither: in a calm patch of wall neighbouring pixels differ by noise, not in long steps."""
    layout = lay_out(PictureSpec(), 1)
    planes = studio_set(layout, "#16323a", 1)
    rows = planes.y[layout.stage_y + 120 : layout.stage_y + 200, 400:1400]
    runs = np.diff(np.flatnonzero(np.diff(rows[40].astype(int)) != 0))
    assert np.median(runs) <= 6


def film(times: list[float]) -> MovingBackdrop:
    def start() -> object:
        for time_s in times:
            planes = Planes.empty(4, 4)
            planes.y.fill(round(time_s * 10) + 20)
            yield time_s, 0.2, planes

    return MovingBackdrop(start, 10)  # type: ignore[arg-type]


def test_a_film_starts_over_after_its_last_picture() -> None:
    backdrop = film([0.0, 0.2, 0.4])
    shown = [int(backdrop.at(frame).y[0, 0]) - 20 for frame in range(14)]
    assert shown == [0, 0, 2, 2, 4, 4, 0, 0, 2, 2, 4, 4, 0, 0]


def test_a_film_that_begins_late_begins_at_once() -> None:
    backdrop = film([3.0, 3.2])
    assert [int(backdrop.at(frame).y[0, 0]) - 20 for frame in range(5)] == [30, 30, 32, 32, 30]


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (64, 36), (1920, 1080)])
def test_cover_fit_keeps_the_aspect(size: tuple[int, int]) -> None:
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    radius = min(width, height) / 4
    disc = np.hypot(x - width / 2 + 0.5, y - height / 2 + 0.5) < radius
    rgb = np.repeat((disc * 255).astype(np.uint8)[..., None], 3, axis=2)
    fitted = cover_fit(rgb, 320, 180)
    assert fitted.shape == (180, 320, 3)
    wide = (fitted[90, :, 0] > 128).sum()
    tall = (fitted[:, 160, 0] > 128).sum()
    if tall < 180:
        assert wide == pytest.approx(tall, abs=4)


def test_a_chapter_fades_in_and_takes_the_place_of_the_last_one() -> None:
    picture = SPEC.model_copy(update={"show_title": True})
    layout = lay_out(picture, 1)
    assert layout.chapter is not None
    marks = (
        Chapter(title="First", start=0, num_samples=SAMPLE_RATE),
        Chapter(title="Second", start=SAMPLE_RATE, num_samples=SAMPLE_RATE),
    )
    behind = Planes.empty(layout.width, layout.height)
    behind.y.fill(60)
    canvas = Planes.empty(layout.width, layout.height)
    drawn = scene(picture, 1, behind, chapters=marks)
    seen = []
    for frame in range(20):
        drawn.draw(frame, canvas)
        seen.append(canvas.part(layout.chapter).y.copy())
    assert seen[1].max() < seen[2].max() < seen[9].max()
    np.testing.assert_array_equal(seen[5], seen[9])
    assert (seen[10] == 60).all()
    assert (seen[19] != seen[9]).any()


class Corner(Disc):
    """A painter that says truthfully where it changes: a dot that wanders over a still ground."""

    def __init__(self, size_px: int) -> None:
        super().__init__(size_px)
        self.planes = np.zeros((4, size_px, size_px), np.uint8)
        self.planes[:, size_px // 2 :] = np.array([90, 120, 140, 255])[:, None, None]
        self.at: int | None = None

    def paint(self, frame: int) -> NDArray[np.uint8]:
        still = np.array([90, 120, 140, 255])[:, None, None]
        top, old, new = self.size_px - 61, self.at, 11 + 5 * frame
        if old is not None:
            self.planes[:, top : top + 9, old : old + 9] = still
            self.changed = (min(old, new), top, abs(new - old) + 9, 9)
        self.planes[:, top : top + 9, new : new + 9] = np.array([200, 90, 160, 255])[:, None, None]
        self.at = new
        return self.planes


@pytest.mark.parametrize("desk", [True, False])
def test_a_host_that_changes_in_one_place_is_drawn_as_if_it_were_new(desk: bool) -> None:
    """Parts are enough: each frame equals one that a scene draws whole, plates and all."""
    layout = lay_out(SPEC, 2)
    behind = ground(layout)

    class Restless(StillBackdrop):
        """Says that it moves: every frame is then drawn whole."""

        moves = True

    def played(backdrop: StillBackdrop) -> Planes:
        canvas = Planes.empty(layout.width, layout.height)
        hosts = tuple(
            Host(name=name, painter=Corner(box.w), fps=10, turns=((0, SAMPLE_RATE * 60),))
            for name, box in zip("AB", layout.hosts, strict=True)
        )
        told = programme(layout, hosts=hosts, desk=desk)
        drawn = Scene(SPEC, layout, told, backdrop, Hearing(silence))
        for frame in range(40):
            drawn.draw(frame, canvas)
        return canvas

    in_parts, whole = played(StillBackdrop(behind)), played(Restless(behind))
    assert (in_parts.y != behind.y).any()
    np.testing.assert_array_equal(in_parts.y, whole.y)
    np.testing.assert_array_equal(in_parts.u, whole.u)
    np.testing.assert_array_equal(in_parts.v, whole.v)
