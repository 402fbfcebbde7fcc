"""From weights on the disk to models as the agent sees them, with an honest word on what they can do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsp_agent.domain.model import Model
from lsp_agent.local.gguf import NotGguf, read_facts
from lsp_agent.local.weights import DEFAULT_WINDOW, SUMMARY_BILLIONS, Installed, WeightsError, find, installed


@dataclass(frozen=True, slots=True)
class Candidate:
    """Weights that can be loaded. `window`: tokens the engine is to keep; `size`: bytes; `billions`: 0 = unknown."""

    name: str
    path: Path
    size: int
    window: int
    billions: float
    good_for: str

    @classmethod
    def read(cls, item: Installed, window: int = 0) -> "Candidate":
        """Look into the file. Blocks for a moment. Raises: WeightsError when it holds no weights."""
        try:
            size = item.path.stat().st_size
            if item.known is not None:
                trained, billions, good_for = item.known.context_length, item.known.billions, item.known.good_for
            else:
                facts = read_facts(item.path)
                trained, billions, good_for = facts.context_length, facts.billions, "not known"
        except NotGguf as error:
            raise WeightsError(str(error)) from error
        except OSError as error:
            raise WeightsError(f"{item.path} cannot be read: {error.strerror}") from error
        kept = min(window or DEFAULT_WINDOW, trained or window or DEFAULT_WINDOW)
        return cls(item.name, item.path, size, kept, billions, good_for)


def candidates(wanted: str, directory: Path, window: int) -> list[Candidate]:
    """Everything that can be loaded, the configured one first. What cannot be read is left out."""
    items = installed(directory)
    if wanted:
        try:
            first = find(wanted, directory)
            items = [first, *[item for item in items if item.path != first.path]]
        except WeightsError:
            pass  # said when a run asks for it
    found = []
    for item in items:
        try:
            found.append(Candidate.read(item, window))
        except WeightsError:
            continue  # one broken file must not hide the others
    return found


def model_of(candidate: Candidate, provider_id: str) -> Model:
    """The model; its id is a name of the catalogue or of the directory, else the path."""
    in_catalogue = candidate.path.stem != candidate.name
    options: dict[str, Any] = {"constrained": True, "notes": note(candidate)}
    if candidate.billions < SUMMARY_BILLIONS:
        options["mechanical_summary"] = True
    return Model(
        provider_id=provider_id,
        model_id=candidate.name if in_catalogue else str(candidate.path),
        name=f"{candidate.name} (embedded)",
        context_window=candidate.window,
        max_output_tokens=min(1024, candidate.window // 4),
        flat_rate=True,
        options=options,
    )


def note(candidate: Candidate) -> str:
    """What such a model can do, for people."""
    return (
        f"Runs in this machine's processor, guided: it looks at one file, answers, or rewrites one function. No shell, "
        f"no search, no work over several files. Good for: {candidate.good_for}."
    )
