from __future__ import annotations

import io
from pathlib import Path

from munet.serving.image_paths import image_paths


def test_a_link_to_itself_does_not_hide_the_rest_of_its_folder(tmp_path: Path) -> None:
    for name in ("2.png", "10.png", "more/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "more" / "loop.png").symlink_to("loop.png")
    found = [str(Path(path).relative_to(tmp_path)) for path in image_paths([str(tmp_path)], io.StringIO())]
    assert found == ["2.png", "10.png", "more/3.png", "more/loop.png"]  # reading the last says why it is none
