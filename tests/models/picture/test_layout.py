import itertools
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.picture.layout import MAX_HOSTS, Layout, frame_size, lay_out
from studio.specs import Aspect, CaptionSpec, PictureSpec, Quality, VisualizerSpec

ASPECTS: tuple[Aspect, ...] = get_args(Aspect)
QUALITIES: tuple[Quality, ...] = get_args(Quality)

PICTURES = st.builds(
    PictureSpec,
    aspect=st.sampled_from(ASPECTS),
    quality=st.sampled_from(QUALITIES),
    show_title=st.booleans(),
    captions=st.builds(CaptionSpec, burn=st.booleans(), size_pct=st.floats(1.5, 12.0)),
    visualizer=st.none()
    | st.builds(
        VisualizerSpec,
        style=st.sampled_from(["waveform", "bars", "spectrum", "circular", "particles"]),
        position=st.sampled_from(["top", "center", "bottom"]),
        height_pct=st.floats(2.0, 60.0),
    ),
)


@pytest.mark.parametrize(
    ("aspect", "quality", "size"),
    [
        ("16:9", "480p", (854, 480)),
        ("16:9", "1080p", (1920, 1080)),
        ("9:16", "1080p", (1080, 1920)),
        ("1:1", "720p", (720, 720)),
        ("16:9", "2160p", (3840, 2160)),
    ],
)
def test_frame_size(aspect: Aspect, quality: Quality, size: tuple[int, int]) -> None:
    assert frame_size(aspect, quality) == size


@given(picture=PICTURES, hosts=st.integers(0, 6))
def test_everything_is_even_inside_and_apart(picture: PictureSpec, hosts: int) -> None:
    layout = lay_out(picture, hosts)
    assert len(layout.hosts) == len(layout.plates) == min(hosts, MAX_HOSTS)
    boxes = [
        box
        for box in (
            layout.title,
            layout.chapter,
            layout.visualizer,
            layout.captions,
            *layout.hosts,
            *layout.plates,
        )
        if box is not None
    ]
    for box in boxes:
        assert box.within(layout.width, layout.height), (box, layout)
        assert all(side % 2 == 0 for side in (box.x, box.y, box.w, box.h)), box
        assert box.w > 0
        assert box.h > 0
    if layout.captions is not None:
        for other in (*layout.faces(), layout.visualizer, layout.title, layout.chapter):
            assert other is None or not layout.captions.meets(other), (other, layout)
    for face in layout.faces():
        assert layout.title is None or not face.meets(layout.title)


@given(picture=PICTURES, hosts=st.integers(2, MAX_HOSTS))
def test_hosts_stand_side_by_side_with_free_faces(picture: PictureSpec, hosts: int) -> None:
    layout = lay_out(picture, hosts)
    assert len({box.bottom for box in layout.hosts}) == 1
    for first, second in itertools.pairwise(layout.faces()):
        assert first.right <= second.x, layout
    for box in layout.hosts:
        assert box.w == box.h


def test_two_hosts_are_large_at_1080p() -> None:
    layout = lay_out(PictureSpec(), 2)
    assert all(box.h >= 0.5 * layout.height for box in layout.hosts)
    assert _mirrored(layout)


def _mirrored(layout: Layout) -> bool:
    left, right = layout.hosts
    return abs(left.x - (layout.width - right.right)) <= 2


@pytest.mark.parametrize("aspect", ASPECTS)
def test_positions_and_height_of_the_visualizer(aspect: Aspect) -> None:
    tops = {}
    for position in ("top", "center", "bottom"):
        spec = VisualizerSpec(position=position)
        layout = lay_out(PictureSpec(aspect=aspect, visualizer=spec), 1)
        assert layout.visualizer is not None
        tops[position] = layout.visualizer.y
    assert tops["top"] < tops["center"] < tops["bottom"]
    low, high = (
        lay_out(PictureSpec(aspect=aspect, visualizer=VisualizerSpec(height_pct=pct)), 1).visualizer
        for pct in (6.0, 18.0)
    )
    assert low is not None
    assert high is not None
    assert high.h == pytest.approx(3 * low.h, abs=4)
