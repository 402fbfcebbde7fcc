"""The capabilities of a client, looked up by path."""

from collections.abc import Mapping
from typing import Any


class Said:
    """`ClientCapabilities` as sent in `initialize`."""

    def __init__(self, capabilities: Mapping[str, Any]) -> None:
        self._capabilities = capabilities

    def at(self, path: str) -> Any:
        """The value at `textDocument.hover.contentFormat`; None when there is none."""
        value: Any = self._capabilities
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def has(self, path: str) -> bool:
        """Whether the client said yes: `true`, or an object (whose presence is the yes)."""
        value = self.at(path)
        return value is True or isinstance(value, Mapping | list)

    def lists(self, path: str, item: Any) -> bool:
        """Whether a list the client sent holds the item."""
        value = self.at(path)
        return isinstance(value, list) and item in value
