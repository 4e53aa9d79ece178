"""Checkpoints: the published forms load, everything else is refused with the file, the fault and
the remedy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from models.avatar import weights  # noqa: E402
from models.avatar.weights import Checkpoint, Place, load  # noqa: E402
from studio.errors import EngineUnavailable  # noqa: E402


def small() -> Any:
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.BatchNorm1d(30))


CHECKPOINT = Checkpoint(
    network="Small",
    places=(
        Place(file="small.safetensors", prefix="net."),
        Place(file="small.pth", section=("state", "deep"), prefix="module."),
    ),
    published="https://example.org/small",
    unused=("extra.",),
)


def published() -> dict[str, Any]:
    state = {f"module.{k}": v for k, v in small().state_dict().items()}
    return {"state": {"deep": state | {"module.extra.weight": torch.zeros(3)}}, "step": 7}


def test_sections_prefixes_and_unused_keys(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "small.pth")
    module = load(
        torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.BatchNorm1d(30)), CHECKPOINT, tmp_path
    )
    assert torch.equal(module[0].weight, small()[0].weight)
    assert not module.training
    assert not module[0].weight.requires_grad


def test_a_bundle_in_half_precision(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = {f"net.{k}": v.half() for k, v in small().state_dict().items()}
    state["other.weight"] = torch.zeros(4)
    safetensors.save_file(state, tmp_path / "small.safetensors")
    module = load(small(), CHECKPOINT, tmp_path)
    assert module[0].weight.dtype == torch.float32
    assert torch.allclose(module[0].weight, small()[0].weight, atol=1e-3)


def refusal(directory: Path) -> str:
    with pytest.raises(EngineUnavailable) as caught:
        load(small(), CHECKPOINT, directory)
    assert "https://example.org/small" in caught.value.remedy
    return f"{caught.value.where}: {caught.value.found}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "small.safetensors or small.pth is missing" in refusal(tmp_path)


def test_a_web_page_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "small.pth").write_text("<html>")
    assert "truncated or is a web page" in refusal(tmp_path)


def test_a_truncated_checkpoint(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "small.pth")
    data = (tmp_path / "small.pth").read_bytes()
    (tmp_path / "small.pth").write_bytes(data[: len(data) * 2 // 3])
    assert "cannot be read as plain weights" in refusal(tmp_path)


def test_missing_foreign_and_misshapen_weights(tmp_path: Path) -> None:
    for change, said in (
        ({"module.0.bias": None}, "0.bias is missing (1 of 6 keys)"),
        ({"module.9.bias": torch.zeros(2)}, "9.bias does not belong there (1 of 8 keys)"),
        ({"module.0.weight": torch.zeros(30, 41)}, "size mismatch for 0.weight"),
    ):
        content = published()
        state = content["state"]["deep"] | change
        content["state"]["deep"] = {k: v for k, v in state.items() if v is not None}
        torch.save(content, tmp_path / "small.pth")
        assert said in refusal(tmp_path)


def test_a_missing_section(tmp_path: Path) -> None:
    torch.save({"state": dict(small().state_dict())}, tmp_path / "small.pth")
    assert "has no section 'deep'" in refusal(tmp_path)


class Bomb:
    """Pickled code: unpickling it would create a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.victim,)


def test_code_in_a_file_is_never_run(tmp_path: Path) -> None:
    victim = tmp_path / "ran"
    content = published() | {"bomb": Bomb(victim)}
    torch.save(content, tmp_path / "small.pth")
    assert "cannot be read as plain weights" in refusal(tmp_path)
    assert not victim.exists()


def test_every_published_checkpoint_says_where_it_is_published() -> None:
    networks = ("face_3drecon", "audio2exp", "audio2pose", "kp_extractor", "generator")
    checkpoints = [
        weights.WAV2LIP, weights.S3FD, weights.RETINAFACE, weights.FAN, weights.GFPGAN,
        *(weights.sadtalker(network, size) for network in networks for size in (256, 512)),
        weights.sadtalker_mapping(full=False), weights.sadtalker_mapping(full=True),
    ]  # fmt: skip
    for checkpoint in checkpoints:
        assert checkpoint.published.startswith("https://")
        assert all(
            place.file.endswith((".pth", ".safetensors", ".tar")) for place in checkpoint.places
        )
    older = "facevid2vid_00189-model.pth.tar"
    assert older in [place.file for place in weights.sadtalker("generator", 256).places]
    assert older not in [place.file for place in weights.sadtalker("generator", 512).places]
