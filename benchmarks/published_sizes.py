"""Checkpoints in the published formats and sizes with random weights: what speed and memory are
measured on where the published weights are not at hand.

The sizes are those of the published configurations; that a row is built right shows in its number
of parameters, which `engine_memory.py` prints beside what the authors say.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.music.musicgen_weights import require_packages
from models.voice.coqui_runtime import load_library

WORDS = ("soft", "piano", "drums", "epic", "strings", "calm", "with", "and", "synth", "pulse")
SIZES = {
    "small": (24, 1024, 16),
    "medium": (48, 1536, 24),
    "large": (48, 2048, 32),
}
"""MusicGen's decoders: layers, width, heads; the inner layers are four times as wide."""

XTTS_TEXT_TOKENS = 6681
"""Of XTTS v2's vocabulary; 1026 audio codes, of which the last two begin and end."""

VCTK_SPEAKERS = 109


def save_musicgen(folder: Path, model: str, dtype: torch.dtype) -> None:
    """A MusicGen called `model` as `studio.specs.MusicModelName` names it, in `folder`."""
    require_packages()
    import transformers

    tf: Any = transformers
    stereo, size = model.startswith("stereo-"), model.removeprefix("stereo-")
    melody = size.startswith("melody")
    plain = {"melody": "medium", "melody-large": "large"}.get(size, size)
    layers, width, heads = SIZES[plain]
    text = tf.T5Config(
        vocab_size=32_128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12
    )
    codec = tf.EncodecConfig(
        sampling_rate=32_000,
        audio_channels=1,
        num_filters=64,
        hidden_size=128,
        codebook_dim=128,
        codebook_size=2048,
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[2.2],
        num_lstm_layers=2,
        chunk_length_s=None,
        normalize=False,
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    shape: dict[str, Any] = {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "ffn_dim": 4 * width,
        "num_codebooks": 8 if stereo else 4,
        "audio_channels": 2 if stereo else 1,
    }
    kind = "MusicgenMelody" if melody else "Musicgen"
    decoder = getattr(tf, f"{kind}DecoderConfig")(**shape)
    config = getattr(tf, f"{kind}Config")(text_encoder=text, audio_encoder=codec, decoder=decoder)
    with torch.device("meta"):
        network = getattr(tf, f"{kind}ForConditionalGeneration")(config)
    network.to(dtype).to_empty(device="cpu")
    fill(network)
    network.save_pretrained(folder)
    _save_tokenizer(folder)


def _save_tokenizer(folder: Path) -> None:
    """Words for T5's: how text is cut into pieces costs next to nothing."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = {word: place for place, word in enumerate((*special.values(), *WORDS))}
    backend = Tokenizer(models.WordLevel(vocabulary, special["unk_token"]))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=backend, **special).save_pretrained(folder)


def save_vits(folder: Path) -> None:
    """VITS with the voices of VCTK."""
    load_library()
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models.vits import Vits

    folder.mkdir(parents=True, exist_ok=True)
    speakers = folder / "speaker_ids.json"
    names = {f"p{225 + place}": place for place in range(VCTK_SPEAKERS)}
    speakers.write_text(json.dumps(names), encoding="utf-8")
    args = VitsArgs(
        use_speaker_embedding=True,
        speakers_file=str(speakers),
        speaker_embedding_channels=256,
        # The discriminator is part of what is published and of no line that is spoken.
        init_discriminator=False,
        # Symbols of random weights last two frames; trained ones five to seven.
        length_scale=2.0,
    )
    config = VitsConfig(
        model_args=args,
        use_phonemes=True,
        phonemizer="espeak",
        phoneme_language="en-us",
        text_cleaner="phoneme_cleaners",
        speakers_file=str(speakers),
    )
    torch.save({"model": Vits(config).state_dict()}, folder / "model.pth")
    config.save_json(str(folder / "config.json"))


def save_xtts(folder: Path) -> None:
    """XTTS v2 with one stock speaker."""
    load_library()
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig
    from TTS.tts.models.xtts import Xtts

    folder.mkdir(parents=True, exist_ok=True)
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]"]
    written = [*marks, *"abcdefghijklmnopqrstuvwxyz.,!?'-"]
    # The model counts the vocabulary when it is loaded.
    written += [f"piece{number}" for number in range(XTTS_TEXT_TOKENS - len(written))]
    letters = {token: at for at, token in enumerate(written)}
    tokenizer = Tokenizer(BPE(letters, [], unk_token=marks[1]))
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "vocab.json"))
    args = XttsArgs(
        gpt_number_text_tokens=XTTS_TEXT_TOKENS,
        gpt_start_text_token=261,
        gpt_stop_text_token=0,
        gpt_num_audio_tokens=1026,
        gpt_start_audio_token=1024,
        gpt_stop_audio_token=1025,
        gpt_use_perceiver_resampler=True,
        num_chars=255,
    )
    config = XttsConfig(
        model_args=args,
        audio=XttsAudioConfig(),
        languages=["en"],
        max_ref_len=30,
        gpt_cond_len=30,
        gpt_cond_chunk_len=4,
    )
    network = Xtts(config)
    network.init_models()  # type: ignore[no-untyped-call]
    torch.save({"model": network.state_dict()}, folder / "model.pth")
    entry = {
        "gpt_cond_latent": torch.randn(1, 32, 1024),
        "speaker_embedding": torch.randn(1, 512, 1),
    }
    torch.save({"Ada Example": entry}, folder / "speakers_xtts.pth")
    config.save_json(str(folder / "config.json"))


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Random weights as an untrained network has them, without its slow initialisation."""
    torch.manual_seed(7)
    for name, parameter in network.named_parameters():
        # The lengths of weight-normed filters, and the scales of norms.
        if name.endswith("original0") or ("norm" in name and name.endswith("weight")):
            parameter.fill_(1.0)
        elif name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.uniform_(-0.035, 0.035)
    for name, buffer in network.named_buffers():
        # Untrained codebooks are empty: without these the codec answers every code with silence.
        if "codebook.embed" in name:
            buffer.normal_()
        else:
            buffer.zero_()
