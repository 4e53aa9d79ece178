"""MusicGen's checkpoints: where they are, what they need, under which licence they come."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from studio.errors import EngineUnavailable, SettingError
from studio.specs import MusicSpec

WEIGHTS_LICENCE = "CC-BY-NC-4.0"
"""Of every published MusicGen checkpoint, by their model cards: no commercial use."""

MEMORY_GIB = {
    "small": 2.8, "medium": 9.2, "large": 15.0, "melody": 7.7, "melody-large": 12.4,
    "stereo-small": 2.9, "stereo-medium": 9.3, "stereo-large": 15.1,
    "stereo-melody": 7.8, "stereo-melody-large": 12.5,
}  # fmt: skip
"""In full precision, for one cue: 4 bytes for each of the 0.59 (small) to 3.42 (large) thousand
million weights of decoder, text encoder and codec, counted in models built from the published
configurations, and 0.5 to 2.5 GiB of keys and values for a window of 30 s with guidance.
"""


def repositories(model: str, engine: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What a published model needs of the hub: repositories with patterns of their files.

    Transformers reads one repository; audiocraft reads its own files of the same one, and the text
    encoder and the codec that they name.
    """
    home = f"facebook/musicgen-{model}"
    if engine == "musicgen_hf":
        return ((home, ("*.json", "*.safetensors", "*.model")),)
    return (
        (home, ("state_dict.bin", "compression_state_dict.bin")),
        ("google-t5/t5-base", ("*.json", "model.safetensors", "*.model")),
        ("facebook/encodec_32khz", ("*.json", "*.safetensors")),
    )


def local_bytes(model: str, engine: str) -> int:
    """How many bytes of a published model lie in the hub's cache; 0 unless all of it is there."""
    if importlib.util.find_spec("huggingface_hub") is None:
        return 0
    from huggingface_hub import snapshot_download

    total = 0
    for repository, patterns in repositories(model, engine):
        try:
            found = snapshot_download(
                repository, allow_patterns=list(patterns), local_files_only=True
            )
        except (OSError, ValueError):
            return 0
        heavy = [p for p in Path(found).rglob("*") if p.suffix in {".safetensors", ".bin"}]
        if not heavy or not all(path.is_file() for path in heavy):
            return 0
        total += sum(path.stat().st_size for path in heavy)
    return total


def fetch_weights(model: str, engine: str = "musicgen_hf") -> Path:
    """Download a published model into the hub's own cache, resuming what was begun; every large
    file is checked against the hash that the hub publishes.

    Raises `EngineUnavailable` when the hub cannot be reached or sends something else.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise EngineUnavailable(
            f"MusicGen {model}",
            "huggingface_hub is not installed",
            "Install it: pip install -e '.[musicgen]'",
        )
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folders: list[Path] = []
    try:
        for repository, patterns in repositories(model, engine):
            found = Path(snapshot_download(repository, allow_patterns=list(patterns)))
            _verify(repository, found)
            folders.append(found)
    except (httpx.HTTPError, HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EngineUnavailable(
            f"MusicGen {model}",
            f"could not be downloaded ({reason})",
            "Check the network and run it again: it goes on where it stopped",
        ) from error
    return folders[0]


def _verify(repository: str, folder: Path) -> None:
    """Compare the files of a snapshot with the hub's hashes; one that differs is removed."""
    from huggingface_hub import HfApi

    listing = HfApi().model_info(repository, revision=folder.name, files_metadata=True)
    for entry in listing.siblings or ():
        path = folder / entry.rfilename
        if entry.lfs is None or not path.is_file():
            continue
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != entry.lfs.sha256:
            path.resolve().unlink()
            raise EngineUnavailable(
                f"{repository}/{entry.rfilename}",
                f"its SHA-256 is {digest[:12]}…, published is {entry.lfs.sha256[:12]}…",
                "Fetch it again",
            )


def identity(spec: MusicSpec, dtype: str) -> str:
    """A hash of all that determines music beside the cue: weights, configuration, settings.

    Of the weights the size and the first 4 MiB are read: a safetensors file begins with the names
    and shapes of its tensors, and the first of their values follow.
    """
    from transformers.utils.hub import cached_file

    source = spec.weights_dir or f"facebook/musicgen-{spec.model}"
    config = cached_file(source, "config.json", local_files_only=True)
    digest = hashlib.sha256(Path(str(config)).read_bytes())
    for path in sorted(Path(str(config)).parent.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(f"{path.stat().st_size}:".encode() + file.read(4 * 2**20))
    settings = (spec.guidance, spec.top_k, spec.temperature, spec.max_generated_s, dtype)
    digest.update(repr(settings).encode())
    return digest.hexdigest()


def require_packages() -> None:
    """Make `import transformers` work. Raises `EngineUnavailable` when a package is missing."""
    remedy = "Install them: pip install -e '.[musicgen]'"
    for package in ("torch", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise EngineUnavailable("musicgen_hf", f"{package} is not installed", remedy)
    if importlib.util.find_spec("torchaudio") is not None:
        # transformers imports torchaudio where it finds it, and a torchaudio built for CUDA beside
        # a torch without it fails that import.
        from models.voice.coqui_runtime import load_torchaudio

        load_torchaudio()


def device_name(asked: str) -> str:
    """The device that "auto", "cpu" or "cuda" means here. Raises `EngineUnavailable`."""
    import torch

    if asked == "cuda" and not torch.cuda.is_available():
        raise EngineUnavailable("musicgen_hf", "no CUDA device", "Use device cpu")
    return ("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else asked


def load_checkpoint(spec: MusicSpec) -> tuple[Any, Any]:
    """Tokenizer and model from a folder or from the hub's cache, never from the network.

    Raises `SettingError` for a folder that holds no MusicGen, `EngineUnavailable` for weights that
    are not here.
    """
    from transformers import (
        AutoConfig,
        AutoTokenizer,
        MusicgenForConditionalGeneration,
        MusicgenMelodyForConditionalGeneration,
    )
    from transformers.utils import logging

    quiet: Any = logging.disable_progress_bar
    quiet()
    source = spec.weights_dir or f"facebook/musicgen-{spec.model}"
    if spec.weights_dir and not Path(spec.weights_dir, "config.json").is_file():
        raise SettingError(
            spec.weights_dir, "no checkpoint here (config.json)", "Give a folder with a checkpoint"
        )
    kinds: dict[str, Any] = {
        "musicgen": MusicgenForConditionalGeneration,
        "musicgen_melody": MusicgenMelodyForConditionalGeneration,
    }
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=True)
        kind = kinds.get(config.model_type)
        if kind is None:
            raise SettingError(source, f"a model of type {config.model_type}", "Give a MusicGen")
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
        model = kind.from_pretrained(source, local_files_only=True)
    except (OSError, ValueError) as error:
        if isinstance(error, SettingError):
            raise
        raise EngineUnavailable(
            "musicgen_hf",
            f"the weights of {source} are not on this machine or do not load ({error})",
            f"Run `studio engines fetch musicgen-{spec.model}` (licence {WEIGHTS_LICENCE}), "
            "or give --weights",
        ) from error
    return tokenizer, model
