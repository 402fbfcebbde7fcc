"""A user who answers no to whatever is asked."""

import asyncio
from typing import Any

from tests.harness.client import Client


async def refuse_everything(client: Client, run_id: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Answer no to every question of the run until it is over: (records, end)."""
    answered: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(40):
        while True:
            for message in client.messages:
                update = (message.get("params") or {}).get("update", {})
                if update.get("sessionUpdate") == "permission_requested" and update["requestId"] not in answered:
                    answered[update["requestId"]] = update
                    outcome = {"type": "selected", "optionId": "reject_once", "message": "no"}
                    params = {"requestId": update["requestId"], "outcome": outcome}
                    await client.request("agent/permission/respond", params)
                if message.get("method") == "agent/runComplete" and message["params"]["runId"] == run_id:
                    return list(answered.values()), message["params"]
            await client.arrived()
