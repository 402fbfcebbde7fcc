"""Sets a stage, runs `escapes.py` inside one tier, and looks at it again. Prints JSON. Run as root and as a user.

python escape_harness.py TIER DIRECTORY   (standard library and lsp_agent.shell only)
"""

# ruff: noqa: E501

import asyncio
import hashlib
import json
import os
import shlex
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from lsp_agent.policy.protected import is_protected, is_secret  # noqa: E402
from lsp_agent.shell.outlet import PORT, receive_listener  # noqa: E402
from lsp_agent.shell.sandbox import Sandbox  # noqa: E402
from lsp_agent.shell.spawner import Spawner  # noqa: E402
from lsp_agent.web.command_outlet import CommandOutlets  # noqa: E402
from lsp_agent.web.guard import Guard  # noqa: E402

MARK = "mark-5f2c9a"


def stage(base: Path) -> dict[str, Path]:
    place = {name: base / name for name in ("inside", "outside", "home", "state")}
    for path in place.values():
        path.mkdir()
    files = {
        "outside/file": MARK, "outside/doomed": "", "outside/doomed2": "", "outside/doomed3": "", "home/.bashrc": "a",
        "home/notes.txt": MARK, "home/.ssh/id_ed25519": MARK, "home/.aws/credentials": MARK, "home/.netrc": MARK,
        "home/.config/lsp-agent/config.toml": MARK, "state/db": MARK, "inside/.env": MARK,
        "inside/.git/hooks/pre-commit": "", "inside/.git/config": "", "inside/.git/HEAD": "ref: refs/heads/main\n",
        "inside/.vscode/settings.json": "{}", "inside/sub/.git/hooks/pre-commit": "", "inside/.github/workflows/ci.yml": "",
    }  # fmt: skip
    for name, text in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def snapshot(*places: Path) -> str:
    digest = hashlib.sha256()
    for place in places:
        for path in sorted([place, *place.rglob("*")]):
            status = path.lstat()
            digest.update(f"{path} {status.st_mode} {status.st_uid} {status.st_size} {status.st_mtime_ns}\n".encode())
            if path.is_file():
                digest.update(path.read_bytes())
    return digest.hexdigest()


async def attack(tier: str, base: Path, *, reading: bool) -> dict[str, object]:
    place = stage(base)
    spawner = Spawner(sys.executable)
    sandbox = Sandbox(
        spawner,
        roots=lambda: [place["inside"]],
        is_protected=is_protected,
        is_secret=is_secret,
        environ={"HOME": str(place["home"]), "PATH": "/usr/bin:/bin", "API_KEY": MARK},
        hide=[place["state"]],
        tiers=(tier, "none"),
    )
    found = await sandbox.tier()
    if found != tier:
        return {"tier": found, "why": sandbox.describe()}
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_UNIX) as abstract:  # fmt: skip
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(base / "u.sock"))
        abstract.bind("\0" + f"probe-{os.getpid()}")
        for listener in (tcp, unix, abstract):
            listener.listen()
        udp.setblocking(False)
        arguments = {
            **{name: str(path) for name, path in place.items()},
            "mark": MARK,
            "server": os.getpid(),
            "port": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "unix": str(base / "u.sock"),
            "abstract": f"probe-{os.getpid()}",
            "tier": tier,
            "reading": reading,
            "outlet": PORT,
        }
        before = snapshot(place["outside"], place["home"], place["state"])
        protected = snapshot(place["inside"] / ".git" / "hooks", place["inside"] / ".vscode")
        program = (Path(__file__).parent / "escapes.py").read_text()
        command = f"/usr/bin/python3 -I -c {shlex.quote(program)} {shlex.quote(json.dumps(arguments))}"
        said: list[str] = []
        refused: list[str] = []
        outlet = CommandOutlets(Guard(), domains=lambda: ["granted.example"]).open(None, refused.append)
        confined = await sandbox.confine(command, cwd=place["inside"], reading=reading, outlet=True)
        running = await spawner.start(confined.order, lambda name, text: said.append(text))
        async with asyncio.timeout(60):
            channel = running.take_outlet()
            if channel is not None:
                await outlet.serve(await receive_listener(channel))
            await running.ended
            await outlet.close()
        await sandbox.release(confined)
        line = next((line for line in "".join(said).splitlines() if line.startswith("PROBES ")), None)
        if line is None:
            return {"tier": tier, "why": "".join(said)[-2000:]}
        result = json.loads(line.removeprefix("PROBES "))
        try:
            result["got_out"]["udp_loopback"] = bool(udp.recv(10))
        except OSError:
            result["got_out"]["udp_loopback"] = False
        has_outlet = channel is not None
        result["got_out"]["outlet_where_there_should_be_none"] = has_outlet and (reading or tier != "bubblewrap")
        result["outlet"] = has_outlet
        result["refused"] = refused
        result["got_out"]["something_outside_changed"] = before != snapshot(
            place["outside"], place["home"], place["state"]
        )
        if tier == "bubblewrap":
            now = snapshot(place["inside"] / ".git" / "hooks", place["inside"] / ".vscode")
            result["got_out"]["something_protected_changed"] = protected != now
        return {"tier": tier, "user": os.geteuid(), **result}


if __name__ == "__main__":
    mode = sys.argv[3] == "reading"
    print(json.dumps(asyncio.run(attack(sys.argv[1], Path(sys.argv[2]), reading=mode))))
