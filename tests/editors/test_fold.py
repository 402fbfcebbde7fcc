"""The Neovim plugin's fold: recorded transcripts in, the view models every client shares out.

`tests/fixtures/transcripts/NAME.jsonl` holds what the server sent, `NAME.view.json` what every client makes of it.
After a wanted change: `python -m tests.editors.test_fold` writes the view models anew, to be read before they are kept.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.editors.nvim import ROOT, nvim_binary

pytestmark = pytest.mark.editor

TRANSCRIPTS = sorted((ROOT / "tests/fixtures/transcripts").glob("*.jsonl"))
NEEDS_NULLS = {"cleared"}
"""Neovim's own client drops nulls, so there a cleared field stays as it was."""


def folded(paths: list[Path], nulls: str) -> list[dict[str, Any]]:
    command = [nvim_binary(), "--clean", "-l", str(ROOT / "tests/editors/fold.lua")]
    command += [str(ROOT / "editors/neovim"), nulls, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def view_file(path: Path) -> Path:
    return path.with_name(f"{path.stem}.view.json")


@pytest.mark.parametrize("nulls", ["nulls", "no-nulls"])
def test_every_transcript_folds_to_its_view_model(nulls: str) -> None:
    paths = [path for path in TRANSCRIPTS if nulls == "nulls" or path.stem not in NEEDS_NULLS]
    assert len(paths) >= 4
    for path, model in zip(paths, folded(paths, nulls), strict=True):
        expected = orjson.loads(view_file(path).read_bytes())
        assert without_nulls(model) == expected, path.name


def test_the_fold_is_pure() -> None:
    for name in ("session", "restoring", "blocks"):
        source = (ROOT / f"editors/neovim/lua/lsp_agent/{name}.lua").read_text()
        for world in ("vim.api", "vim.fn", "vim.uv", "vim.schedule", "vim.notify", "os.time", "io."):
            assert world not in source.replace("no vim.api", ""), (name, world)


def write_view_models() -> None:
    for path, model in zip(TRANSCRIPTS, folded(TRANSCRIPTS, "nulls"), strict=True):
        text = orjson.dumps(without_nulls(model), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
        view_file(path).write_bytes(text + b"\n")


if __name__ == "__main__":
    write_view_models()
