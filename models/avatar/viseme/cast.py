"""Who is drawn: hosts by name, and a host for every speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.avatar.viseme.character import Host, Register
from models.avatar.viseme.hosts import HOSTS, OUTFITS
from studio.errors import SettingError

__all__ = ["Register", "cast_hosts", "find_host"]


def find_host(look: str) -> Host:
    """The host of that name, perhaps in another outfit: "nova", or "nova/teal". Case does not
    matter.

    Raises:
        SettingError: There is no such host or outfit; the message lists all.
    """
    name, _, outfit = look.strip().lower().partition("/")
    host = HOSTS.get(name.strip())
    if host is None:
        offered = ", ".join(f"{h.name} ({h.description})" for h in HOSTS.values())
        raise SettingError("avatar", f"no host is called {look!r}", f"Choose one of: {offered}.")
    outfit = outfit.strip()
    if not outfit:
        return host
    colours = OUTFITS.get(outfit)
    if colours is None:
        offered = ", ".join(f"{name}/{known}" for known in OUTFITS)
        raise SettingError("avatar", f"there is no outfit {outfit!r}", f"Choose one of: {offered}.")
    top, shade, light, accent = colours
    worn = replace(host.palette, top=top, top_shade=shade, top_light=light, accent=accent)
    return replace(host, name=f"{name}/{outfit}", palette=worn)


def cast_hosts(
    speakers: tuple[str, ...],
    wanted: Mapping[str, str],
    registers: Mapping[str, Register] | None = None,
) -> dict[str, str]:
    """A host's name for every speaker.

    `wanted` maps speakers (and "" for all others) to hosts and wins; everybody else gets a host
    nobody has yet, one that suits the register of the voice if there is one, in the order of
    `HOSTS`. With more speakers than hosts the hosts are given out again, in other outfits.

    Raises:
        SettingError: A wanted host does not exist.
    """
    named = {speaker.lower(): find_host(host).name for speaker, host in wanted.items() if host}
    chosen = {s: named[s.lower()] for s in speakers if s.lower() in named}
    taken = [look.partition("/")[0] for look in chosen.values()]
    for speaker in speakers:
        if speaker in chosen:
            continue
        register = (registers or {}).get(speaker)
        first = named.get("")
        free = [first] if first and first not in taken else []
        free += sorted(HOSTS, key=lambda name: (taken.count(name), _misfit(name, register)))
        chosen[speaker] = _dressed(free[0], taken)
        taken.append(free[0])
    return {speaker: chosen[speaker] for speaker in speakers}


def _dressed(host: str, taken: list[str]) -> str:
    """The look of a host that may be on the scene already."""
    times = taken.count(host)
    return host if times == 0 else f"{host}/{list(OUTFITS)[(times - 1) % len(OUTFITS)]}"


def _misfit(host: str, register: Register | None) -> int:
    """How far a host is from a register, 0 to 2; a stable sort keeps the order of `HOSTS`."""
    scale: tuple[Register, ...] = ("low", "middle", "high")
    return abs(scale.index(HOSTS[host].register) - scale.index(register)) if register else 0
