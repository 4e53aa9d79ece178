"""Checkpoints of Coqui TTS: where they are, whose they are, fetching them when a person asks."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.voice.coqui_runtime import load_library
from studio.download import Remote, download
from studio.errors import EngineUnavailable, SettingError
from studio.specs import VoiceSpec

DEFAULT_MODEL = "tts_models/en/vctk/vits"
"""109 English speakers, free for commercial use, real time on a laptop's processor."""

XTTS_LICENCE = "CPML"
"""Coqui Public Model Licence: not for commercial use, weights and what they say alike."""

FREE_LICENCES = ("apache", "mit", "mpl", "bsd", "cc-by-4.0", "cc-by-sa", "cc by 4.0", "cc0")
"""Beginnings of the licences, in lower case, that allow commercial use."""

CHECKPOINT_NAMES = (
    "model.pth",
    "model_file.pth",
    "best_model.pth",
    "model_file.pth.tar",
    "checkpoint.pth",
)
SPEAKER_FILES = ("speakers_file", "d_vector_file", "language_ids_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model's files and terms. `vocoder` is there for models that make spectrograms."""

    model: Path
    config: Path
    licence: str
    vocoder: tuple[Path, Path] | None = None

    @property
    def commercial(self) -> bool:
        """Whether the licence is known to allow commercial use."""
        return self.licence.casefold().startswith(FREE_LICENCES)


def locate(spec: VoiceSpec) -> Checkpoint:
    """The checkpoint that `spec` names: a folder's, or a published one that is on this machine.

    Nothing is downloaded. Raises `EngineUnavailable` when it is not there, `SettingError` for a
    name that is not among the published ones.
    """
    if spec.weights_dir:
        return _in_folder(Path(spec.weights_dir))
    name = spec.model or DEFAULT_MODEL
    manager, item, folder = _published(name)
    try:
        found = _here(manager, item, folder)
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"voice model {name}",
            "its weights are not on this machine",
            f"Run `studio engines fetch {name}` (licence: {item['license']}), "
            "or name a folder in voice.weights_dir",
        ) from error
    vocoder = None
    if item.get("default_vocoder"):
        other = Path(manager.output_prefix) / item["default_vocoder"].replace("/", "--")
        if not other.is_dir():
            raise EngineUnavailable(
                f"voice model {name}", f"its vocoder is not at {other}", "Fetch the model again"
            )
        vocoder = manager._find_files(other)
    model, config = found
    return Checkpoint(
        model=model, config=config, licence=_licence(config, str(item["license"])), vocoder=vocoder
    )


def published_licence(model: str) -> str:
    """The licence of a published model's weights.

    Raises `SettingError` for an unknown name, `EngineUnavailable` without the library.
    """
    _, item, _ = _published(model)
    return str(item.get("license") or "unknown")


def fetch_weights(
    model: str,
    *,
    accept_licence: bool,
    report: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Checkpoint:
    """Download a published model to where the library looks for it, after its licence was accepted.

    What comes as one archive is resumed where it was left; the rest is fetched by the library's own
    loader. `report` gets a file's name, its bytes that are here, and how many there are.

    Raises `SettingError` for an unknown name or a licence that was not accepted,
    `EngineUnavailable` when the download fails.
    """
    manager, item, folder = _published(model)
    licence = str(item.get("license", "unknown"))
    if not accept_licence:
        raise SettingError(
            f"voice model {model}", f"its licence is {licence}", "Accept it to fetch the weights"
        )
    if item.get("tos_required"):
        # The library asks on the terminal unless this file says that a person agreed.
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tos_agreed.txt").write_text(f"Accepted: {licence}\n", encoding="utf-8")
    parts = [(model, item, folder)]
    if vocoder := item.get("default_vocoder"):
        other, full_name, _ = manager._set_model_item(vocoder)
        parts.append((vocoder, other, Path(manager.output_prefix) / full_name))
    try:
        for name, entry, place in parts:
            archive = entry.get("github_rls_url")
            if isinstance(archive, str) and not place.is_dir():
                unpack_release(archive, place, report)
            manager.download_model(name)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, EngineUnavailable):
            raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EngineUnavailable(
            f"voice model {model}", f"cannot be fetched ({reason})", "Check the network, then retry"
        ) from error
    return locate(VoiceSpec(model=model))


def unpack_release(url: str, folder: Path, report: Callable[[str, int, int], None]) -> None:
    """Fetch a release's archive and put its files, without their folders, into `folder`.

    The folder appears when it is complete. Raises `EngineUnavailable` when the archive cannot be
    fetched or is none.
    """
    name = url.rsplit("/", maxsplit=1)[-1]
    archive = download(
        Remote(url=url, name=name), folder.parent, lambda done, total: report(name, done, total)
    )
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as bundle:
            for entry in bundle.infolist():
                # Only the last part of a name counts: no entry can lie outside the folder.
                if not entry.is_dir():
                    with (
                        bundle.open(entry) as source,
                        (draft / Path(entry.filename).name).open("wb") as target,
                    ):
                        shutil.copyfileobj(source, target)
        draft.replace(folder)
    except (zipfile.BadZipFile, zlib.error) as error:
        raise EngineUnavailable(name, f"is no whole archive ({error})", "Fetch it again") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        archive.unlink(missing_ok=True)


def _published(name: str) -> tuple[Any, dict[str, Any], Path]:
    """The library's manager, its entry for a model, and the folder that the model is kept in."""
    load_library()
    import difflib

    from TTS.utils.manage import ModelManager

    manager = ModelManager(progress_bar=True)
    names = manager.list_tts_models()
    if name not in names and "/fairseq/" not in name:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.3) or names[:3]
        raise SettingError("voice.model", f"no model {name!r}", f"Near ones: {', '.join(near)}")
    item, full_name, _ = manager._set_model_item(name)
    return manager, dict(item), Path(manager.output_prefix) / full_name


def _here(manager: Any, item: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """The files of a published model; raises `OSError` or `ValueError` when they are not here."""
    if "repo_id" in item:
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(
                item["repo_id"],
                local_files_only=True,
                allow_patterns=item.get("allow"),
                ignore_patterns=item.get("ignore"),
            )
        )
    model, config = manager._find_files(folder)
    return Path(model), Path(config)


def _in_folder(folder: Path) -> Checkpoint:
    config = folder / "config.json"
    remedy = "Name a folder with config.json and model.pth in voice.weights_dir"
    if not config.is_file():
        raise EngineUnavailable("voice.weights_dir", f"no config.json in {folder}", remedy)
    named = [folder / name for name in CHECKPOINT_NAMES if (folder / name).is_file()]
    others = [path for path in sorted(folder.glob("*.pth")) if "speaker" not in path.name]
    if not named and len(others) != 1:
        raise EngineUnavailable("voice.weights_dir", f"no model.pth in {folder}", remedy)
    return Checkpoint(
        model=(named or others)[0], config=config, licence=_licence(config, "unknown (own folder)")
    )


def _licence(config: Path, known: str) -> str:
    """XTTS is under its own licence wherever it comes from."""
    return XTTS_LICENCE if read_config(config).get("model") == "xtts" else known


def identity(checkpoint: Checkpoint, spec: VoiceSpec) -> str:
    """A hash of all that determines speech beside the line: weights, configuration, settings.

    Of the weights the size and the last 4 MiB are read: a checkpoint is a zip archive, and the
    directory at its end holds the checksum of every tensor.
    """
    digest = hashlib.sha256(checkpoint.config.read_bytes())
    files = [checkpoint.model, *(checkpoint.vocoder or ())]
    for path in [*files, *([Path(spec.reference)] if spec.reference else [])]:
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(max(size - 4 * 2**20, 0))
            digest.update(f"{size}:".encode() + file.read())
    digest.update(repr(spec.temperature).encode())
    return digest.hexdigest()


def read_config(config: Path) -> dict[str, Any]:
    """A checkpoint's configuration with the files that it names found beside it.

    Configurations keep the paths of the machine they were trained on. Raises `EngineUnavailable`
    when it is no JSON object.
    """
    try:
        values = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            "voice model", f"{config} cannot be read ({error})", "Fetch the weights again"
        ) from error
    if not isinstance(values, dict):
        raise EngineUnavailable("voice model", f"{config} is no object", "Fetch the weights again")
    for section in (values, values.get("model_args")):
        for key in SPEAKER_FILES:
            named = section.get(key) if isinstance(section, dict) else None
            if isinstance(section, dict) and named and not Path(str(named)).is_file():
                beside = config.parent / Path(str(named)).name
                section[key] = str(beside) if beside.is_file() else named
    return values
