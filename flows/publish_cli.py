"""`studio publish` and `studio preview-site`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from flows.server import apply_settings

_EXAMPLES = """
[b]Examples[/b]

  studio publish out --url https://example.org/show --category Technology
  studio publish out --url https://example.org/show --cover artwork.png --site public
"""


def publish(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the episodes.")],
    url: Annotated[str, typer.Option(help="Where the site will lie, https://...")] = "",
    site: Annotated[Path, typer.Option(help="The folder in which the site is made.")] = Path(
        "site"
    ),
    title: Annotated[str, typer.Option(help="The show's name.")] = "",
    description: Annotated[str, typer.Option(help="What the show is about.")] = "",
    author: Annotated[str, typer.Option(help="Who makes it.")] = "",
    language: Annotated[str, typer.Option(help="en, de, pt-br, ...")] = "",
    category: Annotated[
        list[str] | None,
        typer.Option(help="As directories have it: 'Society & Culture/Documentary'."),
    ] = None,
    owner_name: Annotated[str, typer.Option(help="Who answers for the feed.")] = "",
    owner_email: Annotated[str, typer.Option(help="Directories write there; it is public.")] = "",
    copyright_: Annotated[str, typer.Option("--copyright", help="One line.")] = "",
    cover: Annotated[
        Path | None, typer.Option(help="Artwork, square, 1400 to 3000 px; else it is drawn.")
    ] = None,
    enclosure: Annotated[
        str | None, typer.Option(help="What podcast players fetch: audio or video.")
    ] = None,
    explicit: Annotated[
        bool | None, typer.Option("--explicit/--clean", help="Whether it is for adults only.")
    ] = None,
) -> None:
    """Make a feed and a static site of a folder of episodes. What show.toml says there is kept."""
    apply_settings(os.environ)
    given = {
        "url": url,
        "title": title,
        "description": description,
        "author": author,
        "language": language,
        "category": tuple(category or ()),
        "owner_name": owner_name,
        "owner_email": owner_email,
        "copyright": copyright_,
        "enclosure": enclosure,
        "explicit": explicit,
    }
    said = {key: value for key, value in given.items() if value not in ("", None, ())}
    from tasks.publish import publish as work

    done = work.fn(str(folder), said, str(site), str(cover or ""))
    console = Console()
    count = f"{done.episodes} episode" + ("" if done.episodes == 1 else "s")
    console.print(f"{count}, {len(done.written)} files written, feed {escape(done.feed_url)}")
    for hint in done.hints:
        console.print(f"[yellow]note[/] {escape(hint)}", soft_wrap=True)
    console.print(escape(done.site), style="bold green", soft_wrap=True)


def preview_site(
    site: Annotated[Path, typer.Argument(help="The folder that `studio publish` made.")] = Path(
        "site"
    ),
    port: Annotated[int, typer.Option(help="On the loopback interface only; 0: any.")] = 8000,
) -> None:
    """Show a site on this machine until Ctrl-C, with byte ranges, so that players can seek."""
    apply_settings(os.environ)
    from tasks.site_server import SiteServer

    with SiteServer(site, port) as server:
        print(f"{server.url}  (Ctrl-C stops it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def add_to(app: typer.Typer) -> None:
    """Add the commands to the `studio` command."""
    app.command(epilog=_EXAMPLES)(publish)
    app.command(name="preview-site")(preview_site)
