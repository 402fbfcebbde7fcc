"""The child process of the embedded engine: loads one model, serves it on a loopback port, and ends with its parent.

Started by `engine`, never by hand. It says one JSON line on standard output: `{"port": …}` once the model is loaded, or
`{"error": …, "reason": …}`; everything the engine prints goes to standard error. The order comes in the environment,
because a command line can be read by every user of the machine and the order holds the key.
"""

import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

ORDER_NAME = "LSP_AGENT_ENGINE"
_LOOK_S = 1.0
_CACHE_MIB = 256
_PING_S = 10
_LOG_ERRORS = 1


def main() -> None:
    """Serve until the parent is gone or TERM comes."""
    parent = os.getppid()
    say = os.dup(1)
    os.dup2(2, 1)  # the engine prints where it likes
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = json.loads(os.environ.pop(ORDER_NAME))
    try:
        server = _start(order)
    except ImportError as error:
        _tell(say, {"error": str(error), "reason": "library" if "libgomp" in str(error) else "missing"})
        sys.exit(3)
    except Exception as error:  # noqa: BLE001  # whatever the engine raises is told to the parent, which logs it
        _tell(say, {"error": str(error) or type(error).__name__, "reason": "load"})
        sys.exit(4)
    _tell(say, {"port": int(server.listening_address.rpartition(":")[2])})
    while not stop.wait(_LOOK_S):
        if os.getppid() != parent:
            break
    # an answer under way would keep an orderly end waiting; there is nothing to save
    os._exit(0)


def _start(order: dict[str, Any]) -> Any:
    """The running engine. Raises: ImportError, or what the engine raises for a model it cannot load."""
    import xllamacpp  # type: ignore[import-untyped,import-not-found,unused-ignore]  # an optional extra

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}
    params.n_ctx = order["context_window"]
    params.n_parallel = 1
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [order["key"]]
    params.cors_origins = "http://127.0.0.1"
    params.cache_ram_mib = _CACHE_MIB  # prompts kept for reuse; 8 GiB unless told
    params.ui = False
    params.endpoint_slots = False
    params.warmup = False
    params.offline = True
    params.verbosity = _LOG_ERRORS
    params.sse_ping_interval = _PING_S
    return xllamacpp.Server(params)


def _tell(descriptor: int, value: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    main()
