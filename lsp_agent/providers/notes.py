"""What people are told of a model that needs help."""

from dataclasses import replace

from lsp_agent.domain.model import Model

CONSTRAINED_NOTE = "Cannot call tools: it is guided to look at one file, to answer, or to rewrite one function."


def noted(model: Model) -> Model:
    """The model, with a word for people on what it can do when it is led by the hand."""
    if not model.options.get("constrained") or model.options.get("notes"):
        return model
    return replace(model, options={**model.options, "notes": CONSTRAINED_NOTE})
