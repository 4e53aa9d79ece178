"""Run the episode flow from a terminal: live progress, Ctrl-C, a copy where the user wants it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect.exceptions import TerminationSignal
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from flows.server import warm_server
from flows.tables import print_summary
from profiles import Profile, load_profile, settle
from studio.errors import OutputError, SettingError
from studio.types import Episode, Header
from tasks.run import DESK, Desk, Stopped, open_run


class Board:
    """Live progress, a bar per stage with the time it still needs; silent when nobody watches."""

    def __init__(self, console: Console, *, live: bool) -> None:
        columns = (
            TextColumn("{task.description:>8}"),
            BarColumn(40),
            TextColumn("{task.percentage:>3.0f} %"),
        )
        self._bars = Progress(*columns, TimeRemainingColumn(), console=console, disable=not live)
        self._ids: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def report(self, stage: str, done: int, total: int) -> None:
        """Move a stage's bar."""
        with self._lock:
            if stage not in self._ids:
                self._ids[stage] = self._bars.add_task(stage, total=max(total, 1))
        self._bars.update(self._ids[stage], completed=done, total=max(total, 1))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the bars on the screen while the block runs."""
        with self._bars:
            yield


def produce(order: dict[str, Any], output: Path | None, console: Console, *, live: bool) -> None:
    """Run the episode flow in this process, watched from this terminal.

    What is wrong with the script, its files or the options is said before a server is started.
    """
    told = settle(load_profile(order["profile"]), Header(), order["options"])
    kind = _kind_wanted(output, audio_only=told.package.audio_only) if output else ""
    board = Board(console, live=live)
    desk = Desk(report=board.report, tell=lambda notice: console.print(escape(notice)))
    DESK.set(desk)
    episode = _standing(order, told)
    if episode is not None:
        console.print("nothing has changed: answered from the store")
    else:
        episode = _make(order, desk, board, console)
    if output is not None:
        _copy_out(Path(episode.folder) / f"{Path(episode.folder).name}{kind}", output)
    print_summary(episode, console)


def _make(order: dict[str, Any], desk: Desk, board: Board, console: Console) -> Episode:
    """Run the flow; its server starts while the rest is still being imported."""
    server = warm_server()
    from flows.episode import make_episode

    if server is not None:
        server.join()
    with interruptible(desk, console), board.shown():
        try:
            episode: Episode = asyncio.run(make_episode(**order))
        except (Stopped, TerminationSignal):
            console.print("stopped; what was finished is kept and the next run goes on from there")
            sys.exit(130)
    return episode


def _standing(order: dict[str, Any], told: Profile) -> Episode | None:
    from flows.remembered import standing_episode
    from tasks.script import Order

    wanted = Order(
        script=order["script"],
        lexicon=order["lexicon"],
        music=order["music_file"],
        portrait=order["avatar_image"],
        background=told.picture.background,
        pose_film=told.avatar.sadtalker.pose_film,
    )
    with open_run(order["out_dir"], device=told.device, gpu=told.gpu) as run:
        return standing_episode(run, wanted, told, order["options"])


@contextmanager
def interruptible(desk: Desk, console: Console) -> Iterator[None]:
    """The first Ctrl-C lets every stage stop at its next step; the second ends the process."""

    def stop(_signal: int, _frame: object) -> None:
        if desk.stop.is_set():
            raise KeyboardInterrupt
        desk.stop.set()
        console.print("stopping …")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kind_wanted(output: Path, *, audio_only: bool) -> str:
    """The suffix of the file to copy: the output's own; for a folder the video, else the MP3.

    Raises `SettingError` for a kind that this episode will not have.
    """
    made = (".mp3", ".m4a") if audio_only else (".mp4", ".mp3", ".m4a")
    suffix = output.suffix.lower()
    if output.is_dir() or not suffix:
        return made[0]
    if suffix not in made:
        remedy = f"Name a folder, or a file that ends in {' or '.join(made)}"
        found = "--audio-only makes no video" if suffix == ".mp4" else f"no {suffix} file is made"
        raise SettingError(f"--output {output}", found, remedy)
    return suffix


def _copy_out(made: Path, output: Path) -> None:
    """Put a copy of a file where the user wants it, whole or not at all."""
    target = output / made.name if output.is_dir() or not output.suffix else output
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=target.suffix, dir=target.parent)
        os.close(handle)
        try:
            shutil.copyfile(made, name)
            Path(name).chmod(0o644)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        remedy = f"The episode is in {made.parent}; copy it from there"
        raise OutputError(str(target), error.strerror or "cannot be written", remedy) from error
