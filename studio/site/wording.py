"""The few words that the pages say themselves, in the show's language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wording:
    """The pages' own words in one language."""

    skip: str
    episodes: str
    chapters: str
    transcript: str
    with_: str
    download: str
    video: str
    sound: str
    captions: str
    feed: str
    play_from: str
    hint: str
    minutes: str


_ENGLISH: Final = Wording(
    "Skip to the content", "Episodes", "Chapters", "Transcript", "With", "Download", "Video",
    "Sound", "Captions", "RSS feed", "Play from", "Follow a sentence or a time to hear it.",
    "min",
)  # fmt: skip

_WORDINGS: Final = {
    "en": _ENGLISH,
    "de": Wording(
        "Zum Inhalt", "Folgen", "Kapitel", "Abschrift", "Mit", "Herunterladen", "Video", "Ton",
        "Untertitel", "RSS-Feed", "Abspielen ab",
        "Ein Satz oder eine Zeit führt an die Stelle, an der er zu hören ist.", "Min.",
    ),
    "fr": Wording(
        "Aller au contenu", "Épisodes", "Chapitres", "Transcription", "Avec", "Télécharger",
        "Vidéo", "Son", "Sous-titres", "Flux RSS", "Écouter à partir de",
        "Suivez une phrase ou une heure pour l'écouter.", "min",
    ),
    "es": Wording(
        "Ir al contenido", "Episodios", "Capítulos", "Transcripción", "Con", "Descargar", "Vídeo",
        "Sonido", "Subtítulos", "Canal RSS", "Reproducir desde",
        "Siga una frase o una hora para escucharla.", "min",
    ),
}  # fmt: skip

_RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur", "yi", "ps", "sd", "ckb", "dv"})


def wording(language: str) -> Wording:
    """The words for a BCP 47 tag; English for a language that has none here."""
    return _WORDINGS.get(language.split("-", maxsplit=1)[0].lower(), _ENGLISH)


def direction(language: str) -> str:
    """`rtl` or `ltr`, for the `dir` of a text in that language."""
    return "rtl" if language.split("-", maxsplit=1)[0].lower() in _RIGHT_TO_LEFT else "ltr"
