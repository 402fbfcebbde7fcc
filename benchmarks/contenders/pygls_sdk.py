"""Floor: the server one would write first: bare pygls that forwards the anthropic SDK's typed deltas with `notify`."""

import os
from typing import Any

from benchmarks.contenders.floor import Answer, request_of
from benchmarks.contenders.pygls_server import serve


class Model:
    """The SDK is imported with the first request."""

    def __init__(self) -> None:
        self._client: Any = None

    async def ask(self, history: list[dict[str, Any]], answer: Answer) -> None:
        if self._client is None:
            import anthropic

            self._client = anthropic.AsyncAnthropic(api_key="none", base_url=os.environ["BENCH_MODEL"], max_retries=0)
        stream = await self._client.messages.create(**request_of(history))
        async for event in stream:
            if event.type == "content_block_delta":
                if event.delta.type == "text_delta":
                    answer.text(event.delta.text)
                else:
                    answer.input(event.delta.partial_json)
            elif event.type == "content_block_start" and event.content_block.type == "tool_use":
                block = event.content_block
                answer.tool = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
            elif event.type == "message_stop":
                answer.end()


if __name__ == "__main__":
    serve(Model().ask)
