"""What a stage is told: one frozen, validated spec per stage.

A profile is these specs together; the script's header and the command line change single fields.
Unknown keys are refused. Ranges are part of the type, so a profile, a header and a flag are checked
by the same words.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Decibel = Annotated[float, Field(ge=-60.0, le=24.0)]
Seconds = Annotated[float, Field(ge=0.0, le=600.0)]
Fraction01 = Annotated[float, Field(ge=0.0, le=1.0)]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]

VoiceEngineName = Literal["espeak_ng", "coqui_tts", "gtts_cloud", "tone"]
CloudName = Literal["google_translate", "elevenlabs", "azure"]
MusicEngineName = Literal["arranger", "musicgen_hf", "musicgen_audiocraft", "hum"]
MusicModelName = Literal[
    "small", "medium", "large", "melody", "melody-large",
    "stereo-small", "stereo-medium", "stereo-large", "stereo-melody", "stereo-melody-large",
]  # fmt: skip
AvatarEngineName = Literal["viseme", "wav2lip", "sadtalker", "did_api", "still"]
StageName = Literal["parse", "speech", "music", "avatar", "mix", "encode", "package"]
"""The stages of an episode in the order of the DAG."""
Aspect = Literal["16:9", "9:16", "1:1"]
Quality = Literal["480p", "720p", "1080p", "1440p", "2160p"]


class Spec(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceSpec(Spec):
    """Where a neural engine runs and how; part of no cache key."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    dtype: Literal["fp32", "fp16", "bf16"] = "fp32"
    card: int | None = Field(
        default=None, ge=0, le=63, description="as CUDA numbers it; none: the one with most room"
    )
    compile: bool = False
    threads: int = Field(default=0, ge=0, le=256, description="0: the library's own choice")
    tf32: bool = Field(
        default=True, description="fp32 products with 10 bits of mantissa, on tensor cores"
    )
    cudnn_benchmark: bool = Field(
        default=False, description="time several convolutions first; pays where shapes repeat"
    )
    allocator: str = Field(
        default="",
        pattern=r"^([a-z_]+:[A-Za-z0-9._]+(,[a-z_]+:[A-Za-z0-9._]+)*)?$",
        description="for PYTORCH_CUDA_ALLOC_CONF, such as expandable_segments:True",
    )
    offload: bool = Field(
        default=False, description="MusicGen's layers wait in host memory and visit the card"
    )


class VoiceSpec(Spec):
    """How the words are spoken."""

    engine: Annotated[tuple[VoiceEngineName, ...], Field(min_length=1)] = ("espeak_ng",)
    voice: str = Field(
        default="", description="empty: a distinct voice per speaker, chosen by the engine"
    )
    rate_wpm: int = Field(default=165, ge=80, le=400)
    pitch_pct: int = Field(default=50, ge=0, le=99)
    sentence_pause_s: Seconds = 0.28
    paragraph_pause_s: Seconds = 0.65
    speaker_pause_s: Seconds = 0.38
    highpass_hz: float = Field(default=70.0, ge=0.0, le=400.0, description="0: off")
    compression_ratio: float = Field(default=2.5, ge=1.0, le=20.0, description="1: off")
    max_takes: int = Field(default=3, ge=1, le=10)
    batch: int = Field(
        default=8, ge=1, le=64, description="lines that go to a neural engine together"
    )
    model: str = Field(
        default="", description="of a neural or cloud engine; empty: the engine's own choice"
    )
    weights_dir: str = Field(default="", description="a folder with a checkpoint, used as it is")
    reference: str = Field(default="", description="a recording whose voice is to be cloned")
    temperature: float | None = Field(
        default=None, gt=0.0, le=2.0, description="of a sampling engine; None: the model's own"
    )
    cloud: CloudName = Field(default="google_translate", description="who speaks for gtts_cloud")
    endpoint: str = Field(default="", description="another address of the cloud: region or proxy")


class MusicSpec(Spec):
    """How the music is made. A user's file replaces the engine for every cue."""

    engine: Annotated[tuple[MusicEngineName, ...], Field(min_length=1)] = ("arranger",)
    enabled: bool = True
    max_piece_s: float = Field(
        default=3600.0, ge=1.0, le=3600.0, description="longer beds repeat whole bars"
    )
    file_offset_s: float = Field(default=0.0, ge=0.0, le=36_000.0)
    model: MusicModelName = Field(default="small", description="of MusicGen")
    weights_dir: str = Field(default="", description="a folder with a checkpoint, used as it is")
    max_generated_s: float = Field(
        default=120.0, ge=1.0, le=1800.0, description="what MusicGen makes; longer beds loop it"
    )
    guidance: float = Field(default=3.0, ge=1.0, le=20.0, description="towards the words; 1: off")
    top_k: int = Field(default=250, ge=0, le=2048, description="most likely codes; 0: all of them")
    temperature: float = Field(default=1.0, gt=0.0, le=3.0)
    batch: int = Field(default=8, ge=1, le=64, description="cues generated at once")


class SadTalkerSpec(Spec):
    """What of a portrait SadTalker animates, and how it acts."""

    frame: Literal["full", "crop", "resize"] = Field(
        default="full", description="face within the portrait, face alone, whole picture squeezed"
    )
    wide: bool = Field(default=False, description="animate the face's surroundings too")
    size_px: Literal[256, 512] = 256
    still: bool = Field(default=False, description="keep the portrait's pose; lips and lids move")
    pose_style: int = Field(default=0, ge=0, le=45)
    pose_film: str = Field(default="", description="a film of one face: the head moves as there")
    expression_scale: float = Field(default=1.0, ge=0.0, le=3.0)
    blink: bool = True
    yaw_deg: tuple[float, ...] = Field(default=(), description="stops on the way; empty: free")
    pitch_deg: tuple[float, ...] = ()
    roll_deg: tuple[float, ...] = ()
    enhancer: Literal["none", "gfpgan"] = "none"


class AvatarSpec(Spec):
    """Who presents, and how it is animated."""

    engine: Annotated[tuple[AvatarEngineName, ...], Field(min_length=1)] = ("viseme",)
    enabled: bool = True
    host: str = Field(default="", description="empty: a distinct host per speaker")
    size_px: int = Field(
        default=640, ge=128, le=2048, description="of a drawn host that a neural engine animates"
    )
    motion_scale: float = Field(default=1.0, ge=0.0, le=2.0)
    batch: int = Field(default=16, ge=1, le=512)
    weights_dir: str = Field(default="", description="folder with the published checkpoints")
    endpoint: str = Field(default="", description="another address of the cloud: a proxy")
    sadtalker: SadTalkerSpec = SadTalkerSpec()


class MixSpec(Spec):
    """Levels, ducking and loudness."""

    loudness_lufs: float = Field(default=-16.0, ge=-36.0, le=-8.0)
    true_peak_dbtp: float = Field(
        default=-1.0, ge=-9.0, le=0.0, description="ceiling on the decoded deliverable"
    )
    num_channels: Literal[1, 2] = 2
    bed_db: Decibel = Field(
        default=-14.0, description="music against speech loudness where nobody speaks"
    )
    duck_db: Decibel = Field(default=-9.0, le=0.0, description="further down while somebody speaks")
    duck_attack_s: float = Field(default=0.25, gt=0.0, le=5.0)
    duck_release_s: float = Field(default=0.8, gt=0.0, le=10.0)
    duck_hold_s: Seconds = 0.35
    fade_in_s: Seconds = 1.0
    fade_out_s: Seconds = 2.5
    crossfade_s: Seconds = 1.5
    lead_in_s: Seconds = Field(
        default=2.5, description="music alone before the first word, when a cue opens the script"
    )
    tail_s: Seconds = Field(
        default=3.5, description="music alone after the last word, when music is playing"
    )


class VisualizerSpec(Spec):
    """The moving picture of the sound."""

    style: Literal["waveform", "bars", "spectrum", "circular", "particles"] = "waveform"
    position: Literal["top", "center", "bottom"] = "bottom"
    color: Colour = "#ffb454"
    thickness_px: int = Field(
        default=3, ge=1, le=40, description="at 1080 lines; scaled with the picture"
    )
    opacity: Fraction01 = 0.9
    height_pct: float = Field(default=12.0, ge=2.0, le=60.0, description="of the picture's height")


class CaptionSpec(Spec):
    """Burned-in captions; the caption files are always written."""

    burn: bool = True
    highlight: bool = True
    color: Colour = "#ffffff"
    highlight_color: Colour = "#ffd166"
    size_pct: float = Field(
        default=4.6, ge=1.5, le=12.0, description="font size as a share of the picture's height"
    )


class PictureSpec(Spec):
    """What is seen."""

    quality: Quality = "1080p"
    aspect: Aspect = "16:9"
    fps: int = Field(default=30, ge=1, le=120)
    background: str = Field(
        default="", description="empty: a generated studio; else an image or a video file"
    )
    background_color: Colour = "#16323a"
    show_title: bool = True
    visualizer: VisualizerSpec | None = VisualizerSpec()
    captions: CaptionSpec = CaptionSpec()


class EncodeSpec(Spec):
    """How it is encoded. `encoder` lists `LIBRARY:ENCODER`, tried in order with one real frame."""

    encoder: tuple[str, ...] = ("pyav:h264_nvenc", "ffmpeg:h264_nvenc", "pyav:libx264")
    crf: float = Field(default=21.0, ge=0.0, le=51.0)
    preset: Literal[
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"
    ] = "veryfast"
    gop_s: float = Field(default=2.0, ge=0.5, le=2.0)
    threads: int = Field(default=0, ge=0, le=128, description="0: the encoder's own choice")
    audio_kbps: int = Field(default=192, ge=96, le=512)


class PackageSpec(Spec):
    """What is put into the episode's folder."""

    audio_only: bool = False
    stems: bool = True
    contact_sheet: bool = True
    show_name: str = "Podcast Studio"
    author: str = ""


class GpuSpec(Spec):
    """How cards are lent and watched."""

    memory_gib: float | None = Field(
        default=None, gt=0.0, description="per card; None: what the driver reports"
    )
    reserve_gib: float = Field(
        default=1.0, ge=0.0, description="left to the desktop and other programs"
    )
    nvenc_sessions: int = Field(default=3, ge=0, le=64)
    sample_hz: float = Field(default=5.0, ge=0.5, le=50.0)
    metrics_port: int = Field(
        default=0, ge=0, le=65_535, description="figures for Prometheus while a run lasts; 0: off"
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="anything but loopback shows them to the network"
    )
    gpu_tasks: int = Field(
        default=0, ge=0, le=1024, description="Prefect's limit on the tag gpu, all hosts; 0: none"
    )
    nvenc_tasks: int = Field(
        default=0, ge=0, le=1024, description="Prefect's limit on the tag gpu:nvenc; 0: none"
    )


class FitSpec(Spec):
    """The machine that a profile is made for; a smaller one runs it too, with steps down."""

    cards: int = Field(default=0, ge=0, le=64, description="how many it wants")
    card_gib: float = Field(default=0.0, ge=0.0, description="memory of each, as the driver counts")
    nvenc: bool = Field(default=False, description="whether it wants a card that encodes")
