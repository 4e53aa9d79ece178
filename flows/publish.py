"""A folder of episodes, a feed and a site."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.notify import NOTIFIED
from tasks.publish import Publication, publish


@flow(name="publish", persist_result=False, **NOTIFIED)
def publish_site(
    folder: str,
    url: str = "",
    site: str = "site",
    cover: str = "",
    show: dict[str, Any] | None = None,
) -> Publication:
    """Publish the episodes of `folder` into `site`; `show` holds keys of `show.toml` and wins."""
    given = dict(show or {})
    if url:
        given["url"] = url
    return publish(folder, given, site, cover)
