"""From an entry to a session: templates resolved, the program started or the address reached, hands shaken.

One context manager, entered and left in the same task, as the SDK's task groups require.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_agent import __version__
from lsp_agent.domain.errors import AgentError
from lsp_agent.mcp.confine import Confinement, Program
from lsp_agent.mcp.entry import Entry, EntryProblem
from lsp_agent.mcp.intake import Intake
from lsp_agent.mcp.link import Link
from lsp_agent.mcp.oauth import Login, NeedsLogin, Tokens, listening, provider
from lsp_agent.mcp.remote import AddressRefused, Guard, check_remote, remote_streams
from lsp_agent.mcp.stdio import Complaints, program_streams
from lsp_agent.shell.spawner import Spawner

if TYPE_CHECKING:
    from lsp_agent.mcp.stdio import Streams

Resolve = Callable[[str, str], Awaitable[str]]
"""(template, owner named in errors) → value. Raises: AgentError whose text names no value."""
_SECRET_CHARS = 6
_SDK = ("mcp.client.session", "mcp.client.sse", "mcp.client.streamable_http", "mcp.client.auth")


class ConnectFailed(Exception):
    """No connection; the text says why, cleaned, for the user."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection that has shaken hands."""

    link: Link
    instructions: str
    tier: str
    """What confines it: `bubblewrap`, `landlock`, `none`; empty for a remote server."""


@dataclass(frozen=True, slots=True)
class Connector:
    """What connecting needs. `logins`: directory of token files."""

    spawner: Spawner
    confinement: Confinement
    resolve: Resolve
    logins: Path
    now_s: Callable[[], float]

    def tokens(self, name: str, url: str) -> Tokens:
        """What is stored of a server's login."""
        return Tokens(self.logins / f"{name}.json", url)

    @asynccontextmanager
    async def __call__(
        self, entry: Entry, program: Program | None, login: Login | None, list_changed: Callable[[str], None]
    ) -> AsyncIterator[Connected]:
        """Connect. On leaving, a program's tree is gone and a socket is closed.

        Raises: ConnectFailed, NeedsLogin, EntryProblem.
        """
        await preload()
        intake = Intake(entry.name, self.now_s, list_changed)
        complaints = Complaints(entry.name)
        guard = Guard("")
        is_up = False
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(connect_limit_s(entry, login)):
                    connected = await self._open(stack, entry, program, login, intake, complaints, guard)
                is_up = True
                yield connected
        except (EntryProblem, NeedsLogin):
            raise
        except BaseException as error:
            late = "it does not answer" if is_up else f"it did not connect within {connect_limit_s(entry, login):g} s"
            _raise_cause(error, late=late, entry=entry, complaints=complaints, guard=guard)
            raise

    async def _open(
        self,
        stack: AsyncExitStack,
        entry: Entry,
        program: Program | None,
        login: Login | None,
        intake: Intake,
        complaints: Complaints,
        guard: Guard,
    ) -> Connected:
        if program is not None:
            streams, tier = await self._program(stack, entry, program, intake, complaints)
        else:
            streams, tier = await self._remote(stack, entry, login, intake, complaints, guard), ""
        link = await _session(stack, entry, streams, self.now_s)
        instructions = await link.handshake()
        return Connected(link, instructions, tier)

    async def _program(
        self, stack: AsyncExitStack, entry: Entry, program: Program, intake: Intake, complaints: Complaints
    ) -> "tuple[Streams, str]":
        env = {name: await self._value(entry, f"env.{name}", text, complaints) for name, text in entry.env.items()}
        order, tier = await self.confinement.order(entry, program, env)
        complaints.tier = tier
        return await stack.enter_async_context(program_streams(self.spawner, order, intake, complaints)), tier

    async def _remote(
        self,
        stack: AsyncExitStack,
        entry: Entry,
        login: Login | None,
        intake: Intake,
        complaints: Complaints,
        guard: Guard,
    ) -> "Streams":
        url = await self._value(entry, "url", entry.url, complaints)
        headers = {
            name: await self._value(entry, f"headers.{name}", text, complaints) for name, text in entry.headers.items()
        }
        headers = {name: text for name, text in headers.items() if text}
        check_remote(entry, url, headers)
        guard.url = url
        tokens = self.tokens(entry.name, url)
        auth = None
        if login is not None:
            await stack.enter_async_context(listening(login, tokens))
            auth = provider(url, tokens, login)
        elif entry.oauth is not False and await tokens.has_tokens():
            auth = provider(url, tokens, None)
        return await stack.enter_async_context(remote_streams(entry, url, headers, auth, guard, intake))

    async def _value(self, entry: Entry, key: str, template: str, complaints: Complaints) -> str:
        try:
            value = await self.resolve(template, f"mcp.{entry.name}.{key}")
        except AgentError as error:
            raise EntryProblem(f"{key}: {error}") from error
        if key != "url" and len(value) >= _SECRET_CHARS and (value != template or key.startswith("headers.")):
            complaints.secrets.append(value)
        return value


async def preload() -> None:
    """Import the SDK in a thread: it takes the better part of a second."""
    for name in _SDK:
        await asyncio.to_thread(import_module, name)


def connect_limit_s(entry: Entry, login: Login | None) -> float:
    """How long connecting may take; with a person in it, as long as the login waits."""
    from lsp_agent.mcp.oauth import LOGIN_S

    return entry.timeout_s if login is None else LOGIN_S + entry.timeout_s


async def _session(stack: AsyncExitStack, entry: Entry, streams: "Streams", now_s: Callable[[], float]) -> Link:
    from mcp.client.session import ClientSession
    from mcp_types import Implementation

    read, write = streams
    told = _Told(read)
    session = ClientSession(told, write, client_info=Implementation(name="lsp-agent", version=__version__))
    link = Link(entry.name, session, now_s)
    told.at_end = link.lost.set
    await stack.enter_async_context(session)
    stack.push_async_callback(link.end)
    return link


class _Told:
    """A read stream that says when it has ended: the SDK's session keeps that to itself."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.at_end: Callable[[], object] = lambda: None

    async def receive(self) -> Any:
        """The next message."""
        import anyio

        try:
            return await self._stream.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            self.at_end()
            raise

    async def aclose(self) -> None:
        """Close."""
        self.at_end()
        await self._stream.aclose()

    def __aiter__(self) -> "_Told":
        return self

    async def __anext__(self) -> Any:
        import anyio

        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> "_Told":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _raise_cause(error: BaseException, *, late: str, entry: Entry, complaints: Complaints, guard: Guard) -> None:
    """Raise what went wrong in our own words; return for what is not ours to translate (a cancellation)."""
    leaves = list(_leaves(error))
    if not any(isinstance(leaf, Exception) for leaf in leaves):
        return
    for leaf in leaves:
        if isinstance(leaf, EntryProblem | NeedsLogin):
            raise leaf
        if isinstance(leaf, AddressRefused):
            raise ConnectFailed(str(leaf)) from error
    if guard.status == 401 and not _has_authorization(entry.headers) and entry.oauth is not False:
        raise NeedsLogin from error
    if any(isinstance(leaf, TimeoutError) for leaf in leaves):
        raise ConnectFailed(_with_tail(late, complaints)) from error
    told = next((leaf for leaf in leaves if isinstance(leaf, Exception)), error)
    raise ConnectFailed(_sentence(told, complaints, guard)) from error


def _sentence(error: BaseException, complaints: Complaints, guard: Guard) -> str:
    from lsp_agent.untrusted import clean

    if guard.status:
        text = f"the server refused us (HTTP {guard.status})"
    elif isinstance(error, OSError) and error.strerror:
        text = error.strerror
    else:
        text = " ".join(clean(str(error)).split())[:300] or type(error).__name__
    return _with_tail(complaints.hide(text), complaints)


def _with_tail(text: str, complaints: Complaints) -> str:
    from lsp_agent.untrusted import clean

    tail = clean(complaints.tail)
    hint = ""
    if complaints.tier not in ("", "none"):
        hint = " (it runs in the sandbox; `network` and `sandbox` of its block say how)"
    return f"{text}; it said: {tail}{hint}" if tail else text + hint


def _leaves(error: BaseException) -> "list[BaseException]":
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in _leaves(one)]
    return [error]


def _has_authorization(headers: Mapping[str, str]) -> bool:
    return any(name.casefold() == "authorization" for name in headers)
