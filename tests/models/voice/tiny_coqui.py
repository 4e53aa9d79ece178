"""Checkpoints in the published format with seeded random weights, made within a test."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from models.voice.coqui_runtime import load_library


def make_vits(
    folder: Path, *, speakers: int = 1, phonemes: bool = True, stochastic: bool = False
) -> Path:
    """A VITS of under a million parameters with `speakers` voices, in `folder`; `stochastic` draws
    its durations, as published models do.
    """
    load_library()
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models.vits import Vits

    torch.manual_seed(7)
    names = {f"p{225 + index}": index for index in range(speakers)} if speakers > 1 else {}
    folder.mkdir(parents=True, exist_ok=True)
    speakers_file = folder / "speaker_ids.json"
    if names:
        speakers_file.write_text(json.dumps(names), encoding="utf-8")
    args = VitsArgs(
        hidden_channels=32,
        hidden_channels_ffn_text_encoder=32,
        num_layers_text_encoder=1,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        upsample_initial_channel_decoder=32,
        resblock_kernel_sizes_decoder=[3],
        resblock_dilation_sizes_decoder=[[1, 3, 5]],
        init_discriminator=False,
        use_speaker_embedding=bool(names),
        speakers_file=str(speakers_file) if names else None,
        speaker_embedding_channels=16,
        use_sdp=stochastic,
    )
    config = VitsConfig(
        model_args=args,
        use_phonemes=phonemes,
        phonemizer="espeak" if phonemes else None,
        phoneme_language="en-us" if phonemes else None,
        text_cleaner="phoneme_cleaners" if phonemes else "basic_cleaners",
        speakers_file=str(speakers_file) if names else "",
    )
    model = Vits(config)
    if stochastic:
        # Untrained flows do nothing: without these the noise would not be heard in the tempo.
        with torch.no_grad():
            for name, weight in model.duration_predictor.flows[1:].named_parameters():
                if name.endswith(".proj.weight"):
                    weight.normal_(std=0.5)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    if names:
        # As in what is published: the path of another machine, the file beside the checkpoint.
        config.speakers_file = "/trained/elsewhere/speaker_ids.json"
        config.model_args.speakers_file = config.speakers_file
    config.save_json(str(folder / "config.json"))
    return folder


def make_xtts(folder: Path, *, languages: tuple[str, ...] = ("en", "de")) -> Path:
    """An XTTS with a small GPT and decoder and two stock speakers, in `folder`."""
    load_library()
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig
    from TTS.tts.models.xtts import Xtts

    torch.manual_seed(7)
    folder.mkdir(parents=True, exist_ok=True)
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]"]
    letters = [*marks, *"abcdefghijklmnopqrstuvwxyz.,!?'-"]
    vocabulary = {token: index for index, token in enumerate(letters)}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token=marks[1]))
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "vocab.json"))
    args = XttsArgs(
        gpt_layers=1,
        gpt_n_model_channels=64,
        gpt_n_heads=2,
        gpt_max_audio_tokens=40,
        gpt_max_text_tokens=250,
        gpt_number_text_tokens=len(letters),
        gpt_start_text_token=3,
        gpt_stop_text_token=0,
        gpt_num_audio_tokens=66,
        gpt_start_audio_token=64,
        gpt_stop_audio_token=65,
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=64,
        num_chars=len(letters),
    )
    config = XttsConfig(
        model_args=args,
        audio=XttsAudioConfig(),
        languages=list(languages),
        max_ref_len=6,
        gpt_cond_len=3,
        gpt_cond_chunk_len=3,
    )
    model = Xtts(config)
    model.init_models()  # type: ignore[no-untyped-call]
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    speakers = {}
    for name in ("Ada Example", "Bo Example"):
        latents, embedding = torch.randn(1, 32, 64), torch.randn(1, 512, 1)
        speakers[name] = {"gpt_cond_latent": latents, "speaker_embedding": embedding}
    torch.save(speakers, folder / "speakers_xtts.pth")
    config.save_json(str(folder / "config.json"))
    return folder
