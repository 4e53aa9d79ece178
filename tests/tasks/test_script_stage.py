"""Parse: what is wrong with a script or a file is said in one line, before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.audio import write_flac
from studio.errors import MediaError, NoFaceError, ScriptError, SettingError, StudioError
from tasks.run import Run
from tasks.script import Order, rehearse
from tasks.seat import host_picture


def _script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "script.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_users_files_are_taken_into_the_store_and_left_where_they_are(
    tmp_path: Path, run: Run
) -> None:
    write_flac(tmp_path / "my theme.flac", np.full((4800, 2), 0.1, np.float32))
    Image.new("RGB", (64, 48), "navy").save(tmp_path / "wall: 50%.png")
    Image.fromarray(host_picture("nova", 256, 7)).save(tmp_path / "me.jpg")
    (tmp_path / "words.txt").write_text("GPU = gee pee you\n", encoding="utf-8")
    script = _script(tmp_path, "[MUSIC: file=my theme.flac]\nOne.\n[MUSIC: calm]\nTwo.\n")
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    heard = rehearse.fn(
        Order(
            script=script,
            lexicon=str(tmp_path / "words.txt"),
            music=str(tmp_path / "my theme.flac"),
            portrait=str(tmp_path / "me.jpg"),
            background=str(tmp_path / "wall: 50%.png"),
        ),
        run=run,
    )
    assets = heard.assets
    assert assets.lexicon == (("GPU", "gee pee you"),)
    assert assets.cue_files == ((0, assets.music),)
    for blob in (assets.music, assets.portrait, assets.background):
        assert blob is not None
        assert run.store.holds(blob)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("name", ["../theme.flac", "sub/../../theme.flac", "{outside}"])
@pytest.mark.parametrize(
    "text",
    ["[MUSIC: file={name}]\nOne.\n", "Background: {name}\n\nOne.\n", "Avatar: {name}\n\nOne.\n"],
)
def test_a_script_reaches_nothing_outside_its_folder(
    tmp_path: Path, run: Run, text: str, name: str
) -> None:
    name = name.format(outside=tmp_path / "theme.flac")
    text = text.format(name=name)
    if text.startswith("[MUSIC"):
        write_flac(tmp_path / "theme.flac", np.full((4800, 2), 0.1, np.float32))
    else:
        name, text = name.replace("flac", "png"), text.replace("flac", "png")
        Image.fromarray(host_picture("nova", 256, 7)).save(tmp_path / "theme.png")
    folder = tmp_path / "scripts"
    folder.mkdir()
    with pytest.raises(MediaError, match="leads out of the script's folder"):
        rehearse.fn(Order(script=_script(folder, text)), run=run)
    # The owner of the folder may lead there; the script's author may not.
    (folder / "mine").symlink_to(tmp_path)
    linked = _script(folder, text.replace(name, f"mine/{Path(name).name}"))
    assert rehearse.fn(Order(script=linked), run=run).script.segments


def test_a_portrait_without_a_face_says_what_to_do(tmp_path: Path, run: Run) -> None:
    Image.new("RGB", (256, 256), "tan").save(tmp_path / "wall.jpg")
    order = Order(script=_script(tmp_path, "Hello.\n"), portrait=str(tmp_path / "wall.jpg"))
    with pytest.raises(NoFaceError) as caught:
        rehearse.fn(order, run=run)
    assert "wall.jpg" in str(caught.value)
    assert caught.value.remedy


def test_landmarks_beside_a_portrait_are_read_and_checked(tmp_path: Path, run: Run) -> None:
    Image.new("RGB", (256, 256), "tan").save(tmp_path / "me.png")
    points = {"left_eye": [100, 100], "right_eye": [156, 100], "mouth_left": [110, 160]}
    points |= {"mouth_right": [146, 160], "chin": [128, 200]}
    sidecar = tmp_path / "me.landmarks.json"
    sidecar.write_text(json.dumps(points), encoding="utf-8")
    order = Order(script=_script(tmp_path, "Hello.\n"), portrait=str(tmp_path / "me.png"))
    assert rehearse.fn(order, run=run).assets.landmarks is not None
    sidecar.write_text("{}", encoding="utf-8")
    with pytest.raises(MediaError):
        rehearse.fn(order, run=run)


@pytest.mark.parametrize(
    ("option", "content", "error"),
    [
        ("music", None, MediaError),
        ("music", b"not a sound at all" * 100, MediaError),
        ("portrait", None, MediaError),
        ("portrait", b"\xff\xd8\xff\xe0 cut short", MediaError),
        ("background", None, MediaError),
        ("background", b"neither picture nor video" * 100, MediaError),
        ("lexicon", None, SettingError),
        ("lexicon", b"no equals sign here\n", SettingError),
        ("pose_film", b"no film", MediaError),
        ("pose_film", None, MediaError),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(
    tmp_path: Path, run: Run, option: str, content: bytes | None, error: type[StudioError]
) -> None:
    path = tmp_path / "bad 'file'.bin"
    if content is not None:
        path.write_bytes(content)
    order = {"script": _script(tmp_path, "Hello.\n"), option: str(path)}
    with pytest.raises(StudioError) as caught:
        rehearse.fn(Order(**order), run=run)
    assert isinstance(caught.value, (error, MediaError, ScriptError))
    assert caught.value.exit_code == 2
    assert "bad 'file'.bin" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert run.store.media() == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"   \n\n",
        bytes(range(256)) * 4,
        "Hello there.".encode("utf-16-le"),
        b"[MUSIC: calm]\n(pause 1s)\n[look up]\n",
        b"A line. " * 1_400_000,
    ],
    ids=["missing", "empty", "blank", "binary", "utf-16", "directions only", "10 MB"],
)
def test_a_script_that_cannot_be_spoken_is_one_line_that_names_it(
    tmp_path: Path, run: Run, content: bytes | None
) -> None:
    path = tmp_path / "odd.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ScriptError) as caught:
        rehearse.fn(Order(script=str(path)), run=run)
    assert "odd.txt" in str(caught.value)
    assert "\n" not in str(caught.value)
