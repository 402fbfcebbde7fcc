"""One client: its endpoint, what was agreed with it, and the documents it has open."""

from collections.abc import Mapping
from typing import Any

from lsp_agent.server.documents import OpenDocuments
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.wire.outgoing import RemoteError
from lsp_agent.wire.request import METHOD_NOT_FOUND
from lsp_agent.wire.rpc import Endpoint


class Connection:
    """What the server knows of one client. `primary` is the editor on stdio: when it ends, the server ends."""

    def __init__(self, endpoint: Endpoint, *, primary: bool) -> None:
        self.endpoint = endpoint
        self.primary = primary
        self.agreed = Negotiated({}, ())
        self.documents = OpenDocuments("utf-16")
        self.features: Any = None
        """The plain LSP surface (`language_features.LanguageFeatures`), once it was asked for."""
        self.surface: Any = None
        """How it asks its user (`surfaces.Surface`), once the agent has started."""
        self.companion: Any = None
        """What it sees of its runs without events (`tier0.companion.Companion`), once the agent has started."""
        self.last_session: str | None = None
        """Where an editor without a plugin goes on talking."""

    def agree(self, agreed: Negotiated) -> None:
        """The client has introduced itself."""
        self.agreed = agreed
        self.documents = OpenDocuments(agreed.position_encoding)
        self.endpoint.configure_events(opt_out=agreed.opt_out, max_latency_ms=agreed.max_latency_ms)

    @property
    def name(self) -> str:
        """Who answered, for `resolvedBy`."""
        return self.agreed.client_name or self.agreed.client_id or "client"

    @property
    def subscriber(self) -> Endpoint | None:
        """Who hears of the runs this client starts: nobody when its block says `events.enabled: false`."""
        return self.endpoint if self.agreed.events or not self.agreed.has_agent_block else None

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """The client's LSP capabilities."""
        return self.agreed.capabilities

    @property
    def position_encoding(self) -> str:
        """utf-8, utf-16 or utf-32."""
        return self.agreed.position_encoding

    @property
    def roots(self) -> tuple[str, ...]:
        """Workspace folders as local paths."""
        return self.agreed.roots

    async def request(self, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
        """Ask the client. Raises: RemoteError for an error answer, TimeoutError, ConnectionClosed when it is gone.

        A method the client did not advertise is never sent; it is a RemoteError at once.
        """
        if not self.agreed.allows(method):
            raise RemoteError(METHOD_NOT_FOUND, f"the client did not advertise {method}")
        return await self.endpoint.request(method, params, timeout_s=timeout_s)

    def show(self, message: str, *, level: int = 3) -> None:
        """`window/showMessage`; level 1 error, 2 warning, 3 info."""
        self.endpoint.notify("window/showMessage", {"type": level, "message": message})
