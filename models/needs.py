"""What a neural engine needs of a card, told before it is loaded.

Estimates from sizes that are known: parameters times bytes, plus what a batch keeps. The ledger
lends by them; what an engine really took stands in the run's report. No engine is loaded here.
"""

from __future__ import annotations

from dataclasses import dataclass

from studio.memory_ladder import Rung
from studio.specs import (
    AvatarEngineName,
    AvatarSpec,
    MusicEngineName,
    MusicSpec,
    VoiceEngineName,
    VoiceSpec,
)

GIB = 2**30

NEURAL = frozenset({"coqui_tts", "musicgen_hf", "musicgen_audiocraft", "wav2lip", "sadtalker"})
"""Engines that run networks. The others take no memory of a card."""

CONTEXT_GIB = 0.5
"""CUDA's own memory in a process with cuBLAS and cuDNN loaded."""


@dataclass(frozen=True, slots=True)
class _Decoder:
    """A MusicGen decoder: parameters, layers, width.

    Parameters are counted in models built from the published configurations, with cross-attention
    and four codebooks; the melody models have no cross-attention, stereo adds 1 %.
    """

    parameters: float
    layers: int
    width: int


_DECODERS = {
    "small": _Decoder(0.42e9, 24, 1024),
    "medium": _Decoder(1.84e9, 48, 1536),
    "large": _Decoder(3.26e9, 48, 2048),
    "melody": _Decoder(1.39e9, 48, 1536),
    "melody-large": _Decoder(2.45e9, 48, 2048),
}

_TEXT_AND_CODEC_GIB = 0.17e9 * 4 / GIB
"""T5 base's encoder (0.11e9 parameters) and EnCodec (0.06e9), always in full precision."""

_POSITIONS = 1500
"""Of the cache: a window of 30 s at 50 codes a second."""

_WAV2LIP_GIB, _WAV2LIP_FRAME_GIB = 0.5, 48 * 2**20 / GIB
"""The networks with the face detector, and the activations of a frame (fp32)."""

_SADTALKER_GIB, _SADTALKER_PIXEL_B = 1.6, 9000
"""The networks with the face detectors, and the renderer's activations per pixel (fp32)."""

_GFPGAN_GIB = 0.9

_COQUI_GIB = 0.6
"""Activations of a line."""


def voice_need_gib(engine: VoiceEngineName, spec: VoiceSpec, rung: Rung) -> float:
    """Memory on a card; the checkpoint's size says how large a voice model is.

    Raises `EngineUnavailable` when the weights are not on this machine.
    """
    if engine != "coqui_tts" or rung.device == "cpu":
        return 0.0
    from models.voice.coqui_weights import locate

    checkpoint = locate(spec)
    files = [checkpoint.model, *((checkpoint.vocoder or ())[:1])]
    size_gib = float(sum(path.stat().st_size for path in files)) / GIB
    return CONTEXT_GIB + _COQUI_GIB + size_gib


def music_need_gib(engine: MusicEngineName, spec: MusicSpec, rung: Rung) -> float:
    """Memory on a card: weights, and for every cue of the batch keys and values of each layer and
    position, twice with guidance.
    """
    if engine not in NEURAL or rung.device == "cpu":
        return 0.0
    decoder = _DECODERS[spec.model.removeprefix("stereo-")]
    value_b = 4 if rung.dtype == "fp32" and engine == "musicgen_hf" else 2
    rows = rung.batch * (2 if spec.guidance > 1.0 else 1)
    cache_gib = rows * 2 * decoder.layers * decoder.width * _POSITIONS * value_b / GIB
    weights_gib = decoder.parameters * value_b / GIB
    if rung.offload:
        # The layer at work and the one that is being fetched.
        weights_gib *= 2 / decoder.layers
    return CONTEXT_GIB + _TEXT_AND_CODEC_GIB + weights_gib + cache_gib


def avatar_need_gib(engine: AvatarEngineName, spec: AvatarSpec, rung: Rung) -> float:
    """Memory on a card: networks, and the activations of a batch of frames."""
    if engine not in NEURAL or rung.device == "cpu":
        return 0.0
    scale = 1.0 if rung.dtype == "fp32" else 0.5
    if engine == "wav2lip":
        return CONTEXT_GIB + _WAV2LIP_GIB + rung.batch * _WAV2LIP_FRAME_GIB * scale
    settings = spec.sadtalker
    frame_gib = _SADTALKER_PIXEL_B * settings.size_px**2 / GIB
    restorer_gib = _GFPGAN_GIB if settings.enhancer == "gfpgan" else 0.0
    return CONTEXT_GIB + _SADTALKER_GIB + restorer_gib + rung.batch * frame_gib * scale
