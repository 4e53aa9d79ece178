"""What runs in audiocraft's own environment. Loaded by `studio/isolation/worker.py` there.

Imports nothing of ours: that environment has audiocraft, torch and numpy, and none of the studio.
audiocraft's published metadata asks for versions of 2023; its code runs on today's when three
things are seen to, which `prepare` does.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any


def prepare() -> None:
    """Make `import audiocraft` work: xformers and spaCy absent, torchaudio beside a CPU torch."""
    if importlib.util.find_spec("xformers") is None:
        # Imported by the transformer's module for one function, which torch has as well.
        operations: Any = ModuleType("xformers.ops")
        operations.unbind = lambda tensor, dim=0: tensor.unbind(dim)
        parent: Any = ModuleType("xformers")
        parent.ops = operations
        sys.modules.update({"xformers": parent, "xformers.ops": operations})
    if importlib.util.find_spec("spacy") is None:
        # Imported for a conditioner that no published checkpoint uses.
        spacy: Any = ModuleType("spacy")
        spacy.load = lambda _: (
            lambda text: [
                SimpleNamespace(text=w, lemma_=w, is_stop=False, is_punct=False)
                for w in text.split()
            ]
        )
        sys.modules["spacy"] = spacy
    try:
        import torchaudio  # noqa: F401
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        native: Any = ModuleType("torchaudio._extension")
        native.__path__ = []
        native._IS_TORCHAUDIO_EXT_AVAILABLE = False
        native._IS_ALIGN_AVAILABLE = native._IS_RIR_AVAILABLE = False
        native._check_cuda_version = lambda: None
        native.fail_if_no_align = native.fail_if_no_rir = lambda function: function
        loader: Any = ModuleType("torchaudio._extension.utils")
        loader._load_lib, loader._check_cuda_version = (lambda _: False), (lambda: None)
        sys.modules.update({native.__name__: native, loader.__name__: loader})


class Side:
    """A loaded audiocraft MusicGen.

    Args:
        source: a published name ("facebook/musicgen-small"), a folder, or "debug", audiocraft's own
            tiny model with random weights.
        device: "cpu", "cuda" or "auto".
        threads: of torch; 0 leaves its own choice.
        strides_s: how far a window of a long piece lies after the one before.
    """

    def __init__(self, source: str, device: str, threads: int, strides_s: float) -> None:
        prepare()
        import torch
        from audiocraft.models import MusicGen

        if threads:
            torch.set_num_threads(threads)
        name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._torch, self._strides_s = torch, strides_s
        self._model: Any = MusicGen.get_pretrained(source, device=name)

    def describe(self) -> tuple[dict[str, Any], list[Any]]:
        """The model's sampling rate in Hz."""
        return {"rate": int(self._model.sample_rate)}, []

    def generate(
        self,
        prompts: list[str],
        seconds: float,
        seed: int,
        guidance: float,
        top_k: int,
        temperature: float,
    ) -> tuple[dict[str, Any], list[Any]]:
        """One array `(num_samples, 1 or 2)` per prompt, all `seconds` long."""
        self._torch.manual_seed(seed)
        self._model.set_generation_params(
            use_sampling=True,
            top_k=top_k,
            temperature=temperature,
            duration=seconds,
            cfg_coef=guidance,
            extend_stride=min(self._strides_s, 0.66 * self._model.max_duration),
        )
        sounds = self._model.generate(prompts)
        return {}, [sound.float().cpu().numpy().T for sound in sounds]
