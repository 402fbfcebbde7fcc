"""When a run goes on with another model: the service stays overloaded although everything was tried. Pure (issue 5.8).

The history is replayed to the other model like after any change of model: thinking of the first one stays behind where
the dialects do not understand each other's.
"""

from lsp_agent.domain.errors import ProviderError
from lsp_agent.domain.model import Model

_KINDS = frozenset({"Overloaded", "RateLimited"})


def wants_other_model(error: ProviderError, model: Model, fallback: str, *, switched: bool) -> bool:
    """Whether `error`, which ended the retries of `model`, is a reason to go on with `fallback` (`provider/model`).

    Once a run (`switched`: it was done): two overloaded services are a reason to stop.
    """
    return error.kind in _KINDS and not switched and fallback not in ("", model.ref)


def announcement(error: ProviderError, model: Model, other: Model) -> str:
    """What the user is told, in the `notice` with code `fallback`."""
    why = error.title.lower() or "overloaded"
    return f"{model.name or model.ref} stays {why}; this run goes on with {other.name or other.ref}."
