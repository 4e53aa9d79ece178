"""The drawn hosts: who they are, what they look like, whose voice suits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from studio.errors import SettingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A host's colours, `#rrggbb`."""

    skin: str
    skin_light: str
    skin_shade: str
    skin_deep: str
    blush: str
    hair: str
    hair_light: str
    hair_shine: str
    brow: str
    lip: str
    lip_light: str
    lip_line: str
    iris: str
    iris_light: str
    top: str
    top_shade: str
    top_light: str
    under: str
    accent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Proportions of a face, in units of the 512-unit square; the face's middle is x = 256.

    `half` is the right half of the outline, from crown to chin, as (distance from the middle, y).
    """

    half: tuple[tuple[float, float], ...]
    eye_dx: float = 34.0
    eye_y: float = 205.0
    eye_half_width: float = 17.5
    eye_height: float = 11.5
    lash: float = 1.0
    brow_y: float = 178.0
    brow_width: float = 6.6
    brow_arch: float = 1.0
    nose_width: float = 1.0
    mouth_y: float = 272.0
    mouth_half_width: float = 27.0
    upper_lip: float = 6.6
    lower_lip: float = 8.6

    @property
    def chin_y(self) -> float:
        """Where the face ends."""
        return self.half[-1][1]


Hair = Literal["bob", "quiff", "topknot", "bald", "curls"]
Beard = Literal["none", "boxed", "full"]
Garment = Literal["crew", "hoodie", "blazer", "rollneck", "overshirt"]
Register = Literal["low", "middle", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One drawn presenter. `register` names the kind of voice that suits: low, middle or high."""

    name: str
    description: str
    register: Register
    palette: Palette
    face: Face
    hair: Hair
    garment: Garment
    beard: Beard = "none"
    glasses: Literal["none", "round", "square"] = "none"
    headphones: bool = False
    earrings: bool = False
    neck_half_width: float = 34.0
    shoulder_half_width: float = 192.0
    shoulder_drop: float = 0.0


_NOVA = Host(
    name="nova",
    description="dark bob, mustard jumper, studio headphones",
    register="high",
    hair="bob",
    garment="crew",
    headphones=True,
    palette=Palette(
        skin="#d99a73",
        skin_light="#efb891",
        skin_shade="#b26f4f",
        skin_deep="#8a4f3a",
        blush="#d8725c",
        hair="#2b1d22",
        hair_light="#5b3a38",
        hair_shine="#9a6350",
        brow="#33211f",
        lip="#b9504c",
        lip_light="#d9756a",
        lip_line="#7d2f33",
        iris="#5b3a22",
        iris_light="#a8713c",
        top="#e0a13a",
        top_shade="#a86a1c",
        top_light="#f3c56a",
        under="#f4ead8",
        accent="#ff7a4d",
    ),
    face=Face(
        half=(
            (0, 112),
            (42, 118),
            (70, 146),
            (79, 190),
            (76, 226),
            (65, 258),
            (42, 288),
            (16, 303),
            (0, 305),
        ),
    ),
)

_MAX = Host(
    name="max",
    description="broad shoulders, short hair and a trimmed beard, slate hoodie",
    register="low",
    hair="quiff",
    garment="hoodie",
    beard="boxed",
    neck_half_width=44.0,
    shoulder_half_width=218.0,
    shoulder_drop=-8.0,
    palette=Palette(
        skin="#c68a62",
        skin_light="#e0aa82",
        skin_shade="#9d6445",
        skin_deep="#774731",
        blush="#c2684e",
        hair="#33241c",
        hair_light="#5d4230",
        hair_shine="#8d6a4c",
        brow="#2e2019",
        lip="#a8594d",
        lip_light="#c27a6a",
        lip_line="#6d3430",
        iris="#2f4a4f",
        iris_light="#6f9aa0",
        top="#4d7286",
        top_shade="#2c4656",
        top_light="#7ea3b5",
        under="#e9edf0",
        accent="#f2b84b",
    ),
    face=Face(
        half=(
            (0, 108),
            (46, 114),
            (74, 142),
            (83, 188),
            (81, 228),
            (76, 262),
            (57, 296),
            (27, 314),
            (0, 317),
        ),
        eye_dx=35.0,
        eye_y=206.0,
        eye_half_width=16.0,
        eye_height=9.2,
        lash=0.25,
        brow_y=184.0,
        brow_width=9.0,
        brow_arch=0.45,
        nose_width=1.18,
        mouth_y=277.0,
        mouth_half_width=28.0,
        upper_lip=4.8,
        lower_lip=7.0,
    ),
)

_IRIS = Host(
    name="iris",
    description="top knot and round glasses, plum blazer, earrings",
    register="middle",
    hair="topknot",
    garment="blazer",
    glasses="round",
    earrings=True,
    neck_half_width=31.0,
    shoulder_half_width=178.0,
    shoulder_drop=8.0,
    palette=Palette(
        skin="#8d5a3c",
        skin_light="#ad7450",
        skin_shade="#693d29",
        skin_deep="#48281b",
        blush="#a04a3a",
        hair="#191311",
        hair_light="#3b2b24",
        hair_shine="#6d5140",
        brow="#1a1210",
        lip="#8e3f46",
        lip_light="#b3605f",
        lip_line="#57222a",
        iris="#2e1c12",
        iris_light="#6b4426",
        top="#74406e",
        top_shade="#472445",
        top_light="#a06a98",
        under="#f3e3cf",
        accent="#f0c24b",
    ),
    face=Face(
        half=(
            (0, 112),
            (40, 117),
            (67, 142),
            (76, 184),
            (74, 222),
            (62, 258),
            (38, 290),
            (14, 305),
            (0, 307),
        ),
        eye_height=12.0,
        brow_y=176.0,
        brow_width=6.0,
        brow_arch=1.1,
        nose_width=1.1,
        mouth_half_width=27.0,
        upper_lip=8.0,
        lower_lip=10.0,
    ),
)

_THEO = Host(
    name="theo",
    description="bald, silver beard, black-rimmed glasses, green roll-neck, headphones",
    register="low",
    hair="bald",
    garment="rollneck",
    beard="full",
    glasses="square",
    headphones=True,
    neck_half_width=42.0,
    shoulder_half_width=204.0,
    palette=Palette(
        skin="#e0ac8b",
        skin_light="#f4cbae",
        skin_shade="#bb7f60",
        skin_deep="#925c45",
        blush="#d9806a",
        hair="#a9a6a4",
        hair_light="#cfccc8",
        hair_shine="#f1eeea",
        brow="#86807c",
        lip="#b4675c",
        lip_light="#cf8b7c",
        lip_line="#7a3f38",
        iris="#33567a",
        iris_light="#82a9c9",
        top="#3d6b55",
        top_shade="#214234",
        top_light="#6a9a80",
        under="#2a2f35",
        accent="#58c9a8",
    ),
    face=Face(
        half=(
            (0, 92),
            (44, 99),
            (75, 134),
            (84, 184),
            (81, 226),
            (73, 260),
            (54, 294),
            (24, 313),
            (0, 316),
        ),
        eye_height=9.4,
        eye_half_width=16.2,
        lash=0.2,
        brow_y=183.0,
        brow_width=8.4,
        brow_arch=0.6,
        nose_width=1.22,
        mouth_y=277.0,
        mouth_half_width=27.0,
        upper_lip=4.6,
        lower_lip=6.8,
    ),
)

_JUNO = Host(
    name="juno",
    description="big copper curls, freckles, open denim overshirt",
    register="high",
    hair="curls",
    garment="overshirt",
    neck_half_width=32.0,
    shoulder_half_width=184.0,
    shoulder_drop=4.0,
    palette=Palette(
        skin="#f0c2a0",
        skin_light="#fbdcc2",
        skin_shade="#cf9272",
        skin_deep="#a3674e",
        blush="#e58a72",
        hair="#8a3f1c",
        hair_light="#bb6430",
        hair_shine="#e69a58",
        brow="#6b3517",
        lip="#c4605c",
        lip_light="#dd8880",
        lip_line="#8b3a3a",
        iris="#2d5a4a",
        iris_light="#6fae8f",
        top="#4a6ea3",
        top_shade="#2b4470",
        top_light="#7d9ecb",
        under="#f6f1e6",
        accent="#ef6f6c",
    ),
    face=Face(
        half=(
            (0, 114),
            (43, 120),
            (71, 148),
            (80, 190),
            (78, 226),
            (68, 258),
            (45, 287),
            (17, 301),
            (0, 303),
        ),
        eye_height=12.2,
        brow_y=179.0,
        brow_width=5.6,
        nose_width=0.95,
        mouth_half_width=26.0,
    ),
)

HOSTS: dict[str, Host] = {host.name: host for host in (_NOVA, _MAX, _IRIS, _THEO, _JUNO)}
"""Every drawn host by name, in the order in which speakers are given them."""


def find_host(name: str) -> Host:
    """The host of that name (case does not matter).

    Raises:
        SettingError: There is none; the message lists all.
    """
    host = HOSTS.get(name.strip().lower())
    if host is None:
        offered = ", ".join(f"{h.name} ({h.description})" for h in HOSTS.values())
        raise SettingError("avatar", f"no host is called {name!r}", f"Choose one of: {offered}.")
    return host


def cast_hosts(
    speakers: tuple[str, ...],
    wanted: Mapping[str, str],
    registers: Mapping[str, Register] | None = None,
) -> dict[str, str]:
    """A host's name for every speaker.

    `wanted` maps speakers (and "" for all others) to hosts and wins; everybody else gets a host
    nobody has yet, one that suits the register of the voice if there is one, in the order of
    `HOSTS`. With more speakers than hosts the hosts are given out again.

    Raises:
        SettingError: A wanted host does not exist.
    """
    named = {speaker.lower(): find_host(host).name for speaker, host in wanted.items() if host}
    chosen = {s: named[s.lower()] for s in speakers if s.lower() in named}
    taken = list(chosen.values())
    for speaker in speakers:
        if speaker in chosen:
            continue
        register = (registers or {}).get(speaker)
        first = named.get("")
        free = [first] if first and first not in taken else []
        free += sorted(HOSTS, key=lambda name: (taken.count(name), _misfit(name, register)))
        chosen[speaker] = free[0]
        taken.append(free[0])
    return {speaker: chosen[speaker] for speaker in speakers}


def _misfit(host: str, register: Register | None) -> int:
    """How far a host is from a register, 0 to 2; a stable sort keeps the order of `HOSTS`."""
    scale: tuple[Register, ...] = ("low", "middle", "high")
    return abs(scale.index(HOSTS[host].register) - scale.index(register)) if register else 0
