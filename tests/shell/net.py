"""A site and an evil one on loopback as the whole Internet, and commands that ask a real approver."""

import asyncio
from dataclasses import replace

from lsp_agent.agent.approvals import Approvals
from lsp_agent.domain.run import RunOptions
from lsp_agent.policy.rules import Policy
from tests.shell.conftest import until
from tests.web.site import Names, Site


class Net:
    def __init__(self, shell, site: Site, evil: Site, names: Names) -> None:
        self.shell, self.site, self.evil, self.names = shell, site, evil, names
        self.approvals = Approvals(
            store=shell.world.store,
            events=shell.world.events,
            clock=shell.world.clock,
            decide=Policy().decide_ask,
            roots=lambda: [shell.root],
        )
        shell.world.approver = self.approvals
        shell.world.mode = "full-auto"  # commands run unasked; hosts are asked for all the same

    @property
    def url(self) -> str:
        return f"http://site.example:{self.site.port}/"

    @property
    def evil_url(self) -> str:
        return f"http://evil.example:{self.evil.port}/"

    def script(self, text: str) -> str:
        self.shell.world.file("go.sh", text)
        return "bash go.sh"

    async def run(self, text: str, *, run: RunOptions | None = None, **more):
        context = self.shell.world.context("bash")
        if run is not None:
            context = replace(context, run=replace(context.run, options=run))
        arguments = {"command": self.script(text), "description": "a test", **more}
        return await self.shell.bash.run(arguments, context)

    def start(self, text: str, **more) -> asyncio.Task:
        return asyncio.create_task(self.run(text, **more))

    async def question(self) -> dict:
        await until(self.approvals.pending)
        return self.approvals.pending()[0]

    async def choose(self, option: str) -> dict:
        record = await self.question()
        assert self.approvals.respond(record["requestId"], {"type": "selected", "optionId": option}, "e")["accepted"]
        return record

    def told(self, name: str) -> list[dict]:
        return [update for update in self.shell.world.events.updates if update["sessionUpdate"] == name]
