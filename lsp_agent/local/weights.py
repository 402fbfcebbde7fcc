"""The weights that are known by name, and where weights are kept.

Data, and looking at a directory. A file counts as one of these weights when its name and size fit; its checksum is
taken once, when it is pulled. Any other `*.gguf` in the directory, or a path, may be used as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lsp_agent.domain.errors import AgentError

_QWEN = "https://huggingface.co/Qwen/{0}-GGUF/resolve/main/{1}?download=true"
DEFAULT_WINDOW = 8192
"""Tokens kept when neither the configuration nor the weights say less: memory grows with it."""
SUMMARY_BILLIONS = 1.5
"""Smaller models invent things when they summarize (MODELS.md, probe d)."""


class WeightsError(AgentError):
    """Weights are unknown, missing, wrong, or cannot be fetched; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights. Sizes are bytes, `context_length` tokens, `billions` parameters."""

    name: str
    file_name: str
    sha256: str
    size: int
    licence: str
    context_length: int
    billions: float
    url: str
    """Empty = there is no official address: fetched with `--url` only."""
    good_for: str
    memory_mib: int
    """About what the engine holds at the default window."""


KNOWN = (
    Weights(
        "qwen2.5-coder-1.5b",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        1_117_320_768,
        "Apache-2.0",
        32_768,
        1.5,
        _QWEN.format("Qwen2.5-Coder-1.5B-Instruct", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
        "questions about one file, and rewriting one function at a time; the smallest that is of use to a person",
        2_200,
    ),
    Weights(
        "qwen2.5-coder-0.5b",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        491_400_064,
        "Apache-2.0",
        32_768,
        0.5,
        _QWEN.format("Qwen2.5-Coder-0.5B-Instruct", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
        "quick answers about a short file, often not quite right; small rewrites",
        750,
    ),
    Weights(
        "smollm2-135m",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98_362_432,
        "Apache-2.0",
        8_192,
        0.135,
        "",
        "trying out that the engine works; what it says is mostly wrong",
        380,
    ),
)
"""Best first."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Weights that are on this machine. `known` None = a file that is not in the catalogue."""

    name: str
    path: Path
    known: Weights | None


def known(name: str) -> Weights | None:
    """The catalogue's entry, or None."""
    return next((weights for weights in KNOWN if weights.name == name.strip().lower()), None)


def models_dir(env: Mapping[str, str]) -> Path:
    """`$XDG_DATA_HOME/lsp-agent/models`. It may not exist."""
    base = Path(env.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():
        home = Path(env.get("HOME", ""))
        base = (home if home.is_absolute() else Path.home()) / ".local" / "share"
    return base / "lsp-agent" / "models"


def installed(directory: Path) -> list[Installed]:
    """What is in the directory: the catalogue's weights best first, then other files by name. Never raises."""
    try:
        files = {path.name: path for path in sorted(directory.glob("*.gguf")) if path.is_file()}
    except OSError:
        return []
    found = []
    for weights in KNOWN:
        path = files.get(weights.file_name)
        if path is not None and path.stat().st_size == weights.size:
            del files[weights.file_name]
            found.append(Installed(weights.name, path, weights))
    return found + [Installed(path.stem, path, None) for path in files.values()]


def find(reference: str, directory: Path, *, home: Path | None = None) -> Installed:
    """The weights that a name or a path means. Raises: WeightsError that says how to get them."""
    if "/" in reference or reference.endswith(".gguf"):
        path = Path(reference)
        if reference.startswith("~/"):
            path = (home or Path.home()) / reference[2:]
        if not path.is_absolute():
            raise WeightsError(f"{reference}: give the absolute path of the weights")
        if not path.is_file():
            raise WeightsError(f"{path}: there is no such file of weights")
        same = next((item for item in installed(directory) if item.path == path), None)
        return same or Installed(path.stem, path, None)
    wanted = reference.strip().lower()
    for item in installed(directory):
        if item.name.lower() == wanted:
            return item
    if known(wanted) is not None:
        raise WeightsError(
            f"The weights {wanted} are not on this machine. To fetch them: lsp-agent local pull {wanted}"
        )
    names = ", ".join([weights.name for weights in KNOWN])
    raise WeightsError(f"No weights are called {reference!r}. Known are {names}; or give the path of a GGUF file.")
