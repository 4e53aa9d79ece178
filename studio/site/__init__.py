"""A show on the web: its feed and its pages, as text. Files are the matter of tasks."""

from studio.site.feed import feed_xml
from studio.site.listing import EpisodePage, MediaFile, SiteChapter, SpokenText
from studio.site.pages import episode_page, index_page
from studio.site.show import EpisodeNotes, ShowSpec, read_show

__all__ = [
    "EpisodeNotes",
    "EpisodePage",
    "MediaFile",
    "ShowSpec",
    "SiteChapter",
    "SpokenText",
    "episode_page",
    "feed_xml",
    "index_page",
    "read_show",
]
