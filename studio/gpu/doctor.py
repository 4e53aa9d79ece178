"""Is this machine's GPU fit for work? Asked by doing: kernels per precision, copies each way, one
encoded frame.

"CUDA is available" only says that a driver was found. A build of torch without code for the card's
compute capability fails at its first kernel, so the build's own list is held against the card, and
then kernels are really run. Nothing here raises for a machine without a card; torch and TensorFlow
are imported only when asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.ffmpeg import try_encoder
from studio.gpu.cards import Card, Survey, survey
from studio.gpu.processes import processes_visible
from studio.gpu.sensors import CardSensor

_SIZE = 2048
"""Side of the trial's square matrices: 2 * 2048^3 = 17 GFLOP, milliseconds on any card."""
_COPY_B = 256 * 1024**2

_TOLERANCES = {"fp32": 1e-5, "tf32": 2e-3, "fp16": 2e-3, "bf16": 2e-2}
"""Largest relative error (in the Frobenius norm) of a product of two random matrices. Rounding the
inputs to 23, 10, 10 and 7 bits of mantissa gives about 2^-24, 2^-11, 2^-11 and 2^-8 per factor; the
bounds allow four times that or more.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRow:
    """One examined thing. `passed` is `None` where there was nothing to examine."""

    what: str
    found: str
    passed: bool | None
    remedy: str = ""


def examine(nvml: Any, environ: Mapping[str, str]) -> tuple[DoctorRow, ...]:
    """Everything `studio doctor --gpu` shows, in order; takes seconds with a card, milliseconds
    without.
    """
    found = survey(nvml, environ)
    rows = [*probe_cards(nvml, found), *probe_torch(found.cards), *probe_tensorflow(found.cards)]
    for card in found.cards:
        rows += trial_kernels(card)
        rows += trial_copies(card)
    rows += trial_encoder(found.cards)
    return tuple(rows)


def probe_cards(nvml: Any, found: Survey) -> Iterator[DoctorRow]:
    """The driver, the cards, and which sensors answer on each."""
    if not found.cards:
        remedy = "Install NVIDIA's driver, or use the cpu profile."
        yield DoctorRow(what="cards", found=found.why, passed=None, remedy=remedy)
        return
    driver = f"driver {found.driver}, CUDA up to {found.cuda}"
    yield DoctorRow(what="driver", found=driver, passed=True)
    if found.why:
        yield DoctorRow(what="visible cards", found=found.why, passed=False, remedy=found.why)
    for card in found.cards:
        arch = "unknown" if card.arch is None else f"{card.arch[0]}.{card.arch[1]}"
        text = f"{card.name}, {card.memory_gib:.1f} GiB, compute capability {arch}"
        encoder = f"{card.nvenc_sessions} encoder sessions" if card.nvenc_sessions else "no encoder"
        yield DoctorRow(what=f"card {card.index}", found=f"{text}, {encoder}", passed=True)
        yield _sensors(nvml, card)


def _sensors(nvml: Any, card: Card) -> DoctorRow:
    sensor = CardSensor(nvml, card, processes_visible=processes_visible())
    try:
        reading, shares = sensor.read((), slow=True)
        time.sleep(0.12)
        reading, _ = sensor.read((), slow=False)
    finally:
        sensor.close()
    absent = [name for name in reading.__dataclass_fields__ if getattr(reading, name) is None]
    if shares is None:
        absent.append("utilisation per process")
    found = "all sensors answer" if not absent else f"n/a: {', '.join(absent)}"
    return DoctorRow(
        what=f"card {card.index} sensors", found=found, passed=None if absent else True
    )


def build_supports(arch_list: Sequence[str], arch: tuple[int, int]) -> bool:
    """Whether a build with this list of targets has code for a compute capability.

    Binary code ("sm_86") runs on its own major version with the same or a higher minor one;
    intermediate code ("compute_80") is compiled for anything newer; targets ending in a letter
    ("sm_90a") fit one capability only.
    """
    for entry in arch_list:
        match = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", entry)
        if match is None:
            continue
        target = (int(match[2]), int(match[3]))
        exact, newer = target == arch, target <= arch
        same_major = target[0] == arch[0]
        if exact or (not match[4] and newer and (same_major or match[1] == "compute")):
            return True
    return False


def probe_torch(cards: Sequence[Card]) -> Iterator[DoctorRow]:
    """Whether torch is there, was built for CUDA, sees the cards and has code for each."""
    if importlib.util.find_spec("torch") is None:
        remedy = "Neural engines need it: pip install -e '.[avatar]'"
        yield DoctorRow(what="torch", found="not installed", passed=None, remedy=remedy)
        return
    import torch

    if torch.version.cuda is None:
        yield DoctorRow(
            what="torch",
            found=f"{torch.__version__}, built without CUDA",
            passed=False if cards else None,
            remedy="Install a CUDA build of torch." if cards else "",
        )
        return
    available = torch.cuda.is_available()
    remedy = "" if available or not cards else "The driver is too old for this build, or hidden."
    found = f"{torch.__version__} for CUDA {torch.version.cuda}"
    yield DoctorRow(what="torch", found=found, passed=available if cards else None, remedy=remedy)
    targets = torch.cuda.get_arch_list()
    for card in cards:
        if card.arch is not None:
            yield _support("torch", card, card.arch, targets)


def probe_tensorflow(cards: Sequence[Card]) -> Iterator[DoctorRow]:
    """The same for TensorFlow, which training uses."""
    if importlib.util.find_spec("tensorflow") is None:
        remedy = "Only training needs it: pip install -e '.[training]'"
        yield DoctorRow(what="TensorFlow", found="not installed", passed=None, remedy=remedy)
        return
    if not cards:
        # Importing it takes seconds and would only say that there is no card.
        yield DoctorRow(what="TensorFlow", found="installed; no card to test it on", passed=None)
        return
    tf: Any = importlib.import_module("tensorflow")
    info = dict(tf.sysconfig.get_build_info())
    if not info.get("is_cuda_build"):
        yield DoctorRow(
            what="TensorFlow",
            found=f"{tf.__version__}, built without CUDA",
            passed=False,
            remedy="pip install -e '.[training-cuda]' in an environment of its own.",
        )
        return
    seen = len(tf.config.list_physical_devices("GPU"))
    remedy = "" if seen else "Its CUDA libraries were not found: reinstall tensorflow[and-cuda]."
    found = f"{tf.__version__} for CUDA {info.get('cuda_version')}, sees {seen} card(s)"
    yield DoctorRow(what="TensorFlow", found=found, passed=seen > 0, remedy=remedy)
    for card in cards:
        if card.arch is not None:
            yield _support(
                "TensorFlow", card, card.arch, list(info.get("cuda_compute_capabilities", ()))
            )


def _support(library: str, card: Card, arch: tuple[int, int], targets: Sequence[str]) -> DoctorRow:
    supported = build_supports(targets, arch)
    verb = "has" if supported else "has no"
    return DoctorRow(
        what=f"{library} on card {card.index}",
        found=f"this build {verb} code for {arch[0]}.{arch[1]} ({' '.join(targets)})",
        passed=supported,
        remedy="" if supported else f"Install a build of {library} for this card.",
    )


def trial_kernels(card: Card) -> Iterator[DoctorRow]:
    """A matrix product per precision, against the same product in double precision on the CPU."""
    torch = _torch_with_cuda()
    if torch is None:
        return
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(_SIZE, _SIZE, generator=draw, dtype=torch.float64) for _ in range(2))
    reference = left @ right
    for precision, tolerance in _TOLERANCES.items():
        what = f"card {card.index} {precision}"
        try:
            error, seconds = _product(torch, card.index, precision, left, right, reference)
        except RuntimeError as problem:
            found = str(problem).partition("\n")[0]
            remedy = "See the row of torch on this card; a restart cures a card in a bad state."
            yield DoctorRow(what=what, found=found, passed=False, remedy=remedy)
            continue
        rate = 2.0 * _SIZE**3 / seconds / 1e12
        found = f"relative error {error:.1e}, {rate:.1f} TFLOP/s at {_SIZE} x {_SIZE}"
        passed = error <= tolerance
        remedy = "" if passed else "Wrong results: test the card's memory, lower its clocks."
        yield DoctorRow(what=what, found=found, passed=passed, remedy=remedy)


def _product(
    torch: Any, card: int, precision: str, left: Any, right: Any, reference: Any
) -> tuple[float, float]:
    """Relative error of the product on the card, and its seconds (the best of five)."""
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        a, b = (matrix.to(device=f"cuda:{card}", dtype=dtype) for matrix in (left, right))
        times = []
        for _ in range(5):
            torch.cuda.synchronize(card)
            begin = time.perf_counter()
            product = a @ b
            torch.cuda.synchronize(card)
            times.append(time.perf_counter() - begin)
    finally:
        torch.set_float32_matmul_precision(before)
    difference = product.double().cpu() - reference
    return float(difference.norm() / reference.norm()), min(times)


def trial_copies(card: Card) -> Iterator[DoctorRow]:
    """256 MiB to the card and back from page-locked memory: the rates, and that nothing changed on
    the way.
    """
    torch = _torch_with_cuda()
    if torch is None:
        return
    what = f"card {card.index} copies"
    try:
        sent = torch.randint(0, 256, (_COPY_B,), dtype=torch.uint8).pin_memory()
        back = torch.empty_like(sent).pin_memory()
        there = torch.empty(_COPY_B, dtype=torch.uint8, device=f"cuda:{card.index}")
        to_card = _copy_s(torch, card.index, there, sent)
        from_card = _copy_s(torch, card.index, back, there)
    except RuntimeError as problem:
        found = str(problem).partition("\n")[0]
        yield DoctorRow(what=what, found=found, passed=False, remedy="Free memory of the card.")
        return
    same = bool(torch.equal(sent, back))
    gib = _COPY_B / 1024**3
    found = f"{gib / to_card:.1f} GiB/s to the card, {gib / from_card:.1f} GiB/s back"
    remedy = "" if same else "The bytes that came back differ: the card or its slot is faulty."
    yield DoctorRow(what=what, found=found, passed=same, remedy=remedy)


def _copy_s(torch: Any, card: int, target: Any, source: Any) -> float:
    """Seconds of a copy: the best of three, the first of which also warms up."""
    times = []
    for _ in range(3):
        torch.cuda.synchronize(card)
        begin = time.perf_counter()
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize(card)
        times.append(time.perf_counter() - begin)
    return min(times)


def trial_encoder(cards: Sequence[Card]) -> Iterator[DoctorRow]:
    """One frame through NVENC on each card that has an encoder; where none has, through whatever
    answers. A list of encoders names it on machines that have none.
    """
    encoding = [card for card in cards if card.nvenc_sessions]
    if not encoding:
        trial = try_encoder("pyav:h264_nvenc")
        found = "one frame encoded" if trial.works else f"{trial.cause}: {trial.said}"
        remedy = "" if trial.works else "None is needed: libx264 encodes instead."
        yield DoctorRow(
            what="NVENC", found=found, passed=True if trial.works else None, remedy=remedy
        )
    for card in encoding:
        trial = try_encoder("pyav:h264_nvenc", card=card.index)
        found = "one frame encoded" if trial.works else f"{trial.cause}: {trial.said}"
        what = f"card {card.index} NVENC"
        yield DoctorRow(what=what, found=found, passed=trial.works, remedy=trial.remedy)


def _torch_with_cuda() -> Any:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch if torch.version.cuda is not None and torch.cuda.is_available() else None
