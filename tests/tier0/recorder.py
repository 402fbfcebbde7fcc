"""A language server that only writes down how an editor introduces itself: `python recorder.py OUT`.

Started by real editors in place of the product, so that the capability fixtures are what they really send. It answers
`initialize` with nothing and every other request with null. Needs nothing but Python.
"""

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO


def read(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message; None at the end of the input."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return dict(json.loads(stream.read(length))) if length else None


def serve(out: Path) -> None:
    """Until the editor is gone or says `exit`."""
    while (message := read(sys.stdin.buffer)) is not None and message.get("method") != "exit":
        if "id" not in message or "method" not in message:
            continue
        result: Any = None
        if message["method"] == "initialize":
            params = message["params"]
            kept = {"clientInfo": params.get("clientInfo"), "capabilities": params["capabilities"]}
            part = out.with_suffix(".part")
            part.write_text(json.dumps(kept, indent=2) + "\n")
            part.replace(out)
            result = {"capabilities": {}}
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
