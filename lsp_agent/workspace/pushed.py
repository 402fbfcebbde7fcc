"""What an editor pushes about itself: selections, and the diagnostics of its other language servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class PushedSelection:
    """Selections of one document. `ranges` are LSP ranges in the connection's encoding, the primary one first."""

    uri: str
    version: int | None
    ranges: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PushedDiagnostics:
    """What one server reported for one file. `items` are LSP `Diagnostic` objects as sent."""

    uri: str
    server: str
    version: int | None
    items: tuple[Mapping[str, Any], ...]
