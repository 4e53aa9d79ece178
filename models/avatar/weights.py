"""Published checkpoints: which files hold which network, and how they are read without trusting
them.

Files are read by safetensors or by `torch.load(weights_only=True)`: no code in a file is ever
run. Before a network is touched, the file's presence, its size, every key and every shape are
checked; the message says what is wrong with which file and where its authors publish it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import Tensor, nn

from models.published import avatar_weights_home
from studio.errors import EngineUnavailable
from studio.specs import AvatarSpec

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One file that may hold a network: its name, the path of dictionary keys inside, a prefix of
    the keys to strip.
    """

    file: str
    section: tuple[str, ...] = ()
    prefix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A network's published weights: the places to look at, in order; keys that inference drops;
    where they come from.
    """

    network: str
    places: tuple[Place, ...]
    published: str
    unused: tuple[str, ...] = ()


_FACEXLIB: Final = "https://github.com/xinntao/facexlib/releases"
_SADTALKER: Final = "https://github.com/OpenTalker/SadTalker/releases"

WAV2LIP: Final = Checkpoint(
    network="Wav2Lip",
    places=(
        Place(file="wav2lip_gan.pth", section=("state_dict",), prefix="module."),
        Place(file="wav2lip.pth", section=("state_dict",), prefix="module."),
    ),
    published="https://github.com/Rudrabha/Wav2Lip",
)
S3FD: Final = Checkpoint(
    network="S3FD face detector",
    places=(Place(file="s3fd.pth"), Place(file="s3fd-619a316812.pth")),
    published="https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",
)
RETINAFACE: Final = Checkpoint(
    network="RetinaFace detector",
    places=(Place(file="detection_Resnet50_Final.pth", prefix="module."),),
    published=_FACEXLIB,
)
FAN: Final = Checkpoint(
    network="FAN landmarks",
    places=(Place(file="alignment_WFLW_4HG.pth", section=("state_dict",)),),
    published=_FACEXLIB,
)
GFPGAN: Final = Checkpoint(
    network="GFPGAN",
    places=(Place(file="GFPGANv1.4.pth", section=("params_ema",)),),
    published="https://github.com/TencentARC/GFPGAN/releases",
    unused=("toRGB.", "stylegan_decoder.style_mlp."),
)


def sadtalker(network: str, size_px: int) -> Checkpoint:
    """The checkpoint of one of SadTalker's networks, in the bundle for `size_px` or in the older
    separate files.

    `network` is the bundle's prefix: `face_3drecon`, `audio2exp`, `audio2pose`, `kp_extractor` or
    `generator`.
    """
    older = {
        "face_3drecon": Place(file="epoch_20.pth", section=("net_recon",)),
        "audio2exp": Place(file="auido2exp_00300-model.pth", section=("model",)),
        "audio2pose": Place(file="auido2pose_00140-model.pth", section=("model",)),
        "kp_extractor": Place(file="facevid2vid_00189-model.pth.tar", section=("kp_detector",)),
        "generator": Place(file="facevid2vid_00189-model.pth.tar", section=("generator",)),
    }
    bundle = Place(file=f"SadTalker_V0.0.2_{size_px}.safetensors", prefix=f"{network}.")
    # The older separate renderer was trained at 256 px only.
    places = (bundle, older[network]) if size_px == 256 or network in _SIZELESS else (bundle,)
    unused = ("netG.encoder.", "netD_motion.") if network == "audio2pose" else ()
    return Checkpoint(
        network=f"SadTalker {network}", places=places, published=_SADTALKER, unused=unused
    )


_SIZELESS: Final = ("face_3drecon", "audio2exp", "audio2pose")


def sadtalker_mapping(*, full: bool) -> Checkpoint:
    """MappingNet for the cropped face (70 coefficients) or the full picture (73); never part of
    the bundle.
    """
    file = "mapping_00109-model.pth.tar" if full else "mapping_00229-model.pth.tar"
    return Checkpoint(
        network="SadTalker mapping",
        places=(Place(file=file, section=("mapping",)),),
        published=_SADTALKER,
    )


def weights_directory(spec: AvatarSpec) -> Path:
    """Where the profile says the published checkpoints lie, else where they are fetched to. Raises
    `EngineUnavailable` where there is neither.
    """
    folder = Path(spec.weights_dir).expanduser() if spec.weights_dir else avatar_weights_home()
    if not folder.is_dir():
        found = f"{folder} is no folder" if spec.weights_dir else "not set, and nothing was fetched"
        remedy = "Run `studio engines fetch sadtalker`, or name the folder with the checkpoints"
        raise EngineUnavailable("avatar.weights_dir", found, remedy)
    return folder


def load(module: Module, checkpoint: Checkpoint, directory: Path) -> Module:
    """Fills `module` from `directory` and makes it ready for inference (evaluation mode, no
    gradients).

    Raises:
        EngineUnavailable: No file of the checkpoint is there, it is too short or no checkpoint,
        or its keys or shapes are
            not the network's.
    """
    place = next((p for p in checkpoint.places if (directory / p.file).is_file()), None)
    if place is None:
        names = " or ".join(p.file for p in checkpoint.places)
        raise _unusable(
            checkpoint, str(directory), f"no weights of {checkpoint.network}: {names} is missing"
        )
    path = directory / place.file
    wanted = sum(tensor.numel() for tensor in module.parameters())
    # Half precision is the smallest published form; anything below is a truncated download or an
    # error page.
    if path.stat().st_size < 2 * wanted:
        found = (
            f"{path.stat().st_size} bytes where {checkpoint.network} needs at least {2 * wanted}"
        )
        raise _unusable(
            checkpoint, str(path), f"{found}: the download is truncated or is a web page"
        )
    state = _select(_read(path, checkpoint), place, checkpoint, path)
    _fill(module, state, checkpoint, path)
    return module.eval().requires_grad_(requires_grad=False)


def _read(path: Path, checkpoint: Checkpoint) -> object:
    try:
        if path.suffix == ".safetensors":
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            try:
                return load_file(path)
            except SafetensorError as error:
                raise _unusable(
                    checkpoint, str(path), f"not a safetensors file ({error})"
                ) from error
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _unusable(
            checkpoint, str(path), f"cannot be read as plain weights ({reason})"
        ) from error


def _select(content: object, place: Place, checkpoint: Checkpoint, path: Path) -> dict[str, Tensor]:
    """Walks into the sections, keeps the tensors under the prefix, drops what inference does not
    use.
    """
    for section in place.section:
        if not isinstance(content, Mapping) or section not in content:
            raise _unusable(checkpoint, str(path), f"has no section {section!r}")
        content = content[section]
    if not isinstance(content, Mapping):
        raise _unusable(checkpoint, str(path), "holds no dictionary of weights")
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if place.prefix and any(key.startswith(place.prefix) for key in tensors):
        length = len(place.prefix)
        tensors = {k[length:]: v for k, v in tensors.items() if k.startswith(place.prefix)}
    return {k: v for k, v in tensors.items() if not k.startswith(checkpoint.unused or ("\0",))}


def _fill(module: nn.Module, state: dict[str, Tensor], checkpoint: Checkpoint, path: Path) -> None:
    floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    try:
        result = module.load_state_dict(floats, strict=False)
    except RuntimeError as error:  # shapes; torch lists every one of them
        lines = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        found = lines[0] if lines else str(error).splitlines()[-1]
        raise _unusable(checkpoint, str(path), f"not {checkpoint.network}: {found}") from error
    # Counters of training batches play no part in inference; some converters leave them out.
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    for keys, word in ((missing, "is missing"), (result.unexpected_keys, "does not belong there")):
        if keys:
            named = ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
            count = f"{len(keys)} of {len(floats)} keys"
            raise _unusable(
                checkpoint, str(path), f"not {checkpoint.network}: {named} {word} ({count})"
            )


def _unusable(checkpoint: Checkpoint, where: str, found: str) -> EngineUnavailable:
    remedy = f"Download {checkpoint.places[0].file} from {checkpoint.published}"
    return EngineUnavailable(where, found, remedy)
