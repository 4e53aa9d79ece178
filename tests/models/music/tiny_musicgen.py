"""A MusicGen of the published format and tiny size, with seeded random weights, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("soft", "piano", "drums", "epic", "strings", "calm", "with", "and", "synth", "pulse")
NUM_CODES = 64


def save_tiny_musicgen(folder: Path, *, channels: int = 1, melody: bool = False) -> Path:
    """Text encoder, decoder over four codebooks a channel, 32 kHz codec at 50 frames a second."""
    import torch
    import transformers

    tf: Any = transformers
    torch.manual_seed(7)
    text = tf.T5Config(
        vocab_size=32, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, is_decoder=False
    )
    codec = tf.EncodecConfig(
        sampling_rate=32_000,
        audio_channels=1,
        num_filters=4,
        hidden_size=16,
        codebook_dim=16,
        codebook_size=NUM_CODES,
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[1.2],
        num_lstm_layers=1,
        num_residual_layers=1,
        chunk_length_s=None,
        normalize=False,
    )
    shape: dict[str, Any] = {
        "vocab_size": NUM_CODES,
        "pad_token_id": NUM_CODES,
        "bos_token_id": NUM_CODES,
        "num_hidden_layers": 2,
        "ffn_dim": 64,
        "num_attention_heads": 2,
        "hidden_size": 32,
        "num_codebooks": 4 * channels,
        "audio_channels": channels,
        "initializer_factor": 0.4,
        "max_position_embeddings": 2048,
    }
    if melody:
        decoder = tf.MusicgenMelodyDecoderConfig(**shape)
        config = tf.MusicgenMelodyConfig(
            text_encoder=text, audio_encoder=codec, decoder=decoder, chroma_length=9
        )
        model = tf.MusicgenMelodyForConditionalGeneration(config)
    else:
        decoder = tf.MusicgenDecoderConfig(**shape)
        config = tf.MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)
        model = tf.MusicgenForConditionalGeneration(config)
    with torch.no_grad():
        # Untrained codebooks are empty: without these the codec answers every code with silence.
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_()
        # A random network's text encoder says little; let the words be heard.
        for head in model.decoder.lm_heads:
            head.weight.normal_(std=0.6)
    model.save_pretrained(folder)
    _save_tokenizer(folder)
    return folder


def _save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    vocabulary = {w: i for i, w in enumerate((*special.values(), *WORDS))}
    backend = Tokenizer(models.WordLevel(vocabulary, special["unk_token"]))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=backend, **special).save_pretrained(folder)
