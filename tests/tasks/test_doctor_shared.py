"""The doctor tries the store that machines share, where one is named."""

from __future__ import annotations

from pathlib import Path

from tasks.doctor import _shared


def test_it_is_tried_only_where_it_is_named(tmp_path: Path) -> None:
    assert list(_shared({})) == []
    (works,) = _shared({"STUDIO_REMOTE": f"file://{tmp_path}/nas"})
    assert works.works
    assert [p for p in (tmp_path / "nas").rglob("*") if p.is_file()] == []
    (tmp_path / "file").write_bytes(b"")
    (broken,) = _shared({"STUDIO_REMOTE": f"file://{tmp_path}/file/nas"})
    assert not broken.works
    assert "STUDIO_REMOTE" in broken.remedy
