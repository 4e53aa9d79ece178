"""Keys: the same for the same values, different for different ones, never for a path."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.keys import code_version, fingerprint
from studio.specs import MixSpec
from studio.types import Segment, Word

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_PLAIN)
def test_equal_values_have_equal_keys(value: object) -> None:
    assert fingerprint(value) == fingerprint(value)


@given(st.text(), st.text())
def test_text_is_not_run_together(left: str, right: str) -> None:
    assert fingerprint(left + right) != fingerprint(left, right)
    if right:
        assert fingerprint(left, right) != fingerprint(left + right, "")


def test_every_field_counts_and_so_does_the_type() -> None:
    segment = Segment(index=0, speaker="A", text="Hi.", line_no=1)
    keys = {
        fingerprint(segment),
        fingerprint(Segment(index=0, speaker="B", text="Hi.", line_no=1)),
        fingerprint(Segment(index=0, speaker="A", text="Hi.", line_no=1, pause_after_s=0.5)),
        fingerprint(Word(text="Hi.", start=0, num_samples=1)),
        fingerprint(MixSpec()),
        fingerprint(MixSpec(duck_db=-8.0)),
    }
    assert len(keys) == 6


def test_a_path_has_no_place_in_a_key() -> None:
    with pytest.raises(TypeError, match="Path"):
        fingerprint({"file": Path("x")})


def test_a_key_is_the_same_in_another_process() -> None:
    code = (
        "from studio.keys import fingerprint; print(fingerprint('a', 1, 2.5, {'k': (None, True)}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert run.stdout.strip() == fingerprint("a", 1, 2.5, {"k": (None, True)})


def test_the_code_is_part_of_what_determines_an_output() -> None:
    assert code_version("studio.keys") != code_version("studio.store")
    assert code_version("studio") != code_version("studio.keys")
    with pytest.raises(ModuleNotFoundError):
        code_version("studio.nothing")
