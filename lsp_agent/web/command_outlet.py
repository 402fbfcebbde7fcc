"""What waits outside a command's network: a proxy of its own, with the domains granted to this command.

Granted is what the configuration names, what the user granted before, and what the user says yes to when the command
knocks. One question a host, whatever the number of connections and of tries; the answer holds as long as the command
runs. One proxy a command: what comes out of it belongs to that tool call (issue 3, per-domain grants; RELIABILITY
EX-02, EX-08).
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from lsp_agent.shell.outlet import HostAsker
from lsp_agent.web.connect_proxy import ConnectProxy, TunnelLimits
from lsp_agent.web.guard import Domains, Guard, readable

_log = logging.getLogger(__name__)

ASK_S = 300.0
"""A command waits no longer for an answer; then the host is refused."""
MAX_QUESTIONS = 10
"""Hosts one command may have the user asked for."""
MAX_LINES = 20
_LINE_CHARS = 300


class CommandOutlet:
    """Implements `shell.outlet.Outlet`."""

    def __init__(
        self,
        domains: Domains,
        guard: Guard,
        asker: HostAsker | None,
        say: Callable[[str], None],
        *,
        limits: TunnelLimits | None = None,
        ask_s: float = ASK_S,
    ) -> None:
        self._domains = domains
        self._asker = asker
        self._say = say
        self._ask_s = ask_s
        self._may_ask = asker is not None
        self._answers: dict[str, bool] = {}
        self._questions: dict[str, asyncio.Task[bool]] = {}
        self._asked = 0
        self._told: set[str] = set()
        self._closed = False
        self.proxy = ConnectProxy(self._allows, guard, limits=limits, ask=self._ask, refused=self._tell)

    @property
    def asking(self) -> bool:
        return bool(self._questions)

    async def answered(self) -> None:
        while self._questions:
            await asyncio.wait(list(self._questions.values()))
            await asyncio.sleep(0)

    async def serve(self, listener: socket.socket) -> None:
        if self._closed:
            listener.close()
            return
        try:
            await self.proxy.start(listener)
        except BaseException:
            listener.close()
            raise

    def stop_asking(self) -> None:
        self._may_ask = False
        for question in self._questions.values():
            question.cancel()

    async def close(self) -> None:
        self._closed = True
        self.stop_asking()
        await self.proxy.close()
        if self._questions:
            await asyncio.wait(list(self._questions.values()), timeout=1.0)

    def _allows(self, host: str) -> bool:
        if self._domains.covers(host):
            return True
        answer = self._answers.get(host)
        if answer is None and self._asker is not None:
            return self._asker.granted(host)
        return answer is True

    async def _ask(self, host: str) -> bool:
        """The answer for `host`. A client that gives up leaves the question standing: programs try again."""
        if host in self._answers:
            return self._answers[host]
        question = self._questions.get(host)
        if question is None:
            if self._asker is None or not self._may_ask or self._asked >= MAX_QUESTIONS:
                return False
            self._asked += 1
            question = asyncio.create_task(self._question(self._asker, host), name=f"question about {host}")
            self._questions[host] = question
            question.add_done_callback(lambda done: self._settle(host, done))
        await asyncio.wait([question])
        return self._answers.get(host, False)

    async def _question(self, asker: HostAsker, host: str) -> bool:
        try:
            async with asyncio.timeout(self._ask_s):
                return await asker.ask(host)
        except TimeoutError:
            return False

    def _settle(self, host: str, question: asyncio.Task[bool]) -> None:
        """Whatever became of it, only an answer counts: a question that failed grants nothing."""
        self._questions.pop(host, None)
        if question.cancelled():
            return
        error = question.exception()
        if error is None:
            self._answers[host] = question.result()
        else:
            _log.error("asking for a host failed: %s", type(error).__name__)

    def _tell(self, host: str, why: str) -> None:
        """One line a host, so that whoever reads the output knows what was refused."""
        if host in self._told or len(self._told) >= MAX_LINES:
            return
        self._told.add(host)
        self._say(f"no connection to {host}: {why}"[:_LINE_CHARS])


class CommandOutlets:
    """Implements `shell.outlet.Outlets`. `domains`: `sandbox.network_domains`, read anew for each command.

    `guard` decides which ports and addresses a granted host may have. Without `asks` nobody is asked.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        domains: Callable[[], Sequence[str]],
        asks: bool = True,
        limits: TunnelLimits | None = None,
        ask_s: float = ASK_S,
    ) -> None:
        self._guard = guard
        self._domains = domains
        self._asks = asks
        self._limits = limits
        self._ask_s = ask_s

    def open(self, asker: HostAsker | None, say: Callable[[str], None]) -> CommandOutlet | None:
        domains, unread = readable(self._domains())
        if unread:
            _log.warning("sandbox.network_domains: %d entries are no host names and grant nothing", len(unread))
        asker = asker if self._asks else None
        if not domains and asker is None:
            return None
        return CommandOutlet(domains, self._guard, asker, say, limits=self._limits, ask_s=self._ask_s)
