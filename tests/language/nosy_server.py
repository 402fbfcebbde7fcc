"""A language server that tries what it should not be able to, and reports what it could (in `serverInfo.name`)."""

import json
import os
import socket
import sys
from pathlib import Path

root, outside, secret, protected, port = sys.argv[1:6]


def can(work) -> bool:
    try:
        work()
    except OSError:
        return False
    return True


def reads_secret() -> None:
    if not Path(secret).read_text():
        raise OSError("nothing in it")


length = 0
while (line := sys.stdin.buffer.readline().strip()) or not length:
    if line.lower().startswith(b"content-length:"):
        length = int(line.split(b":")[1])
message = json.loads(sys.stdin.buffer.read(length))
could = {
    "workspace": can(lambda: Path(root, "built.txt").write_text("x")),
    "cache": can(lambda: Path(os.environ["TMPDIR"], "c").write_text("x")),
    "outside": can(lambda: Path(outside, "evil.txt").write_text("x")),
    "secret": can(reads_secret),
    "protected": can(lambda: Path(protected).write_text("evil")),
    "network": can(lambda: socket.create_connection(("127.0.0.1", int(port)), 1).close()),
    "key": "SECRET_API_KEY" in os.environ,
}
result = {"capabilities": {"experimental": could}}
body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
sys.stdout.buffer.flush()
sys.stdin.buffer.read()
