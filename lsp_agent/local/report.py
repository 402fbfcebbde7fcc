"""What `lsp-agent doctor` says of the embedded engine: is it there, what could it load, what would that take."""

from collections.abc import Mapping

from lsp_agent.local.catalogue import Candidate, candidates
from lsp_agent.local.engine import INSTALL, EngineSettings, default_threads, engine_installed
from lsp_agent.local.pulling import size_text
from lsp_agent.local.weights import KNOWN, WeightsError, find, models_dir

_BASE_BYTES = 200 << 20
_REPACKED = 1.7
"""Weights lie repacked beside the mapped file."""


def report(env: Mapping[str, str], settings: EngineSettings) -> list[tuple[bool, str]]:
    """(is it good, sentence) for each thing worth saying. Starts nothing; reads the headers of files."""
    directory = models_dir(env)
    lines: list[tuple[bool, str]] = []
    if not engine_installed():
        lines.append((True, f"engine not installed (optional): {INSTALL}"))
    if settings.model:
        try:
            find(settings.model, directory)
        except WeightsError as error:
            lines.append((False, f"local.model: {error}"))
    found = candidates(settings.model, directory, settings.context_window)
    threads = settings.threads or default_threads()
    for item in found:
        needs = f"about {size_text(memory_bytes(item))} while it runs, {threads} threads, {item.window} tokens"
        lines.append((True, f"{item.name}: {needs}; good for {item.good_for}"))
    if not found and engine_installed():
        lines.append((True, f"no weights in {directory}; to fetch some: lsp-agent local pull {KNOWN[0].name}"))
    return lines


def memory_bytes(item: Candidate) -> int:
    """What the engine will hold, roughly: measured for the catalogue's weights, estimated for others."""
    for weights in KNOWN:
        if weights.name == item.name:
            return weights.memory_mib << 20
    return _BASE_BYTES + int(item.size * _REPACKED)
