"""Which walls this machine can put around a command, found out by trying to break them, and the orders for it.

Tiers (RELIABILITY 6): `bubblewrap` (namespaces and a system-call filter), `landlock` (file rules of the kernel and the
filter), `none`. A tier counts when a command inside it could write in its workspace and do nothing of a short list of
what it must not. Probed at the first command, never before: an untrusted folder starts no process.
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lsp_agent.shell import bubblewrap, landlock, seccomp
from lsp_agent.shell.environment import child_environment, find_shell, search_path, system_binary
from lsp_agent.shell.ground import (
    Found,
    Ground,
    Lookout,
    Placeholders,
    absent_in_git,
    absent_places,
    protected_tops,
    set_aside,
    user_secrets,
)
from lsp_agent.shell.outlet import OUTLET_PLACE, PROXY_ENVIRONMENT, interpreter, launcher
from lsp_agent.shell.probe import break_out, opens
from lsp_agent.shell.readable import readable_places
from lsp_agent.shell.spawner import Order, Spawner

_log = logging.getLogger(__name__)

TIERS = ("bubblewrap", "landlock", "none")


def tiers_of(setting: str) -> tuple[str, ...]:
    """The tiers to try, best first, for the configuration's `sandbox.tier`; `auto` and what is unknown mean all."""
    return tuple(dict.fromkeys((setting, "none"))) if setting in TIERS else TIERS


@dataclass(slots=True)
class Confined:
    """An order ready to start, and what must be given back when it has ended."""

    order: Order
    ground: Ground
    tmp: str | None = None
    absent: tuple[Path, ...] = ()
    """Protected places that were not there when it started."""
    there: frozenset[Path] = frozenset()
    """Those that were, at the top of the roots."""


class Sandbox:
    """The walls of one workspace.

    `is_protected`, `is_secret`: of paths relative to a root. `hide`: more directories no command sees: the data and
    configuration directories of the server. `tiers`: which may be used, best first.
    `show_secrets`: the user wants commands to see secret files of the workspace; else they look empty (FS-11).
    """

    def __init__(
        self,
        spawner: Spawner,
        *,
        roots: Callable[[], Sequence[Path]],
        is_protected: Callable[[str], bool],
        is_secret: Callable[[str], bool],
        environ: Mapping[str, str],
        hide: Sequence[Path] = (),
        tiers: Sequence[str] = TIERS,
        show_secrets: Callable[[], bool] = lambda: False,
    ) -> None:
        self._spawner = spawner
        self._roots = roots
        self._lookout = Lookout(is_protected, is_secret)
        self._is_protected = is_protected
        self._show_secrets = show_secrets
        self._environ = environ
        self._hide = tuple(hide)
        self._tiers = tuple(tiers)
        self._placeholders = Placeholders()
        self._probing: asyncio.Task[str] | None = None
        self._found: str | None = None
        self._outlet_works: bool | None = None
        self.failures: list[str] = []
        """Why a better tier is not used."""

    @property
    def has_shell(self) -> bool:
        """Whether there is a bash to run commands with."""
        return find_shell() is not None

    async def tier(self) -> str:
        """The tier in force; probed by the first call. Fails closed: what cannot be shown to hold is not used."""
        if self._found is None:
            if self._probing is None or (self._probing.done() and self._probing.cancelled()):
                self._probing = asyncio.create_task(self._probe(), name="sandbox probe")
            self._found = await asyncio.shield(self._probing)
        return self._found

    def describe(self) -> str:
        """One sentence for people, about what `tier` found."""
        texts = {
            "bubblewrap": "bubblewrap: no network but granted domains, the workspace writable but for protected files, "
            "secrets hidden",
            "landlock": "Landlock and a system-call filter: no network, the workspace writable; full-auto asks",
            "none": "none: every command asks",
            None: "not probed yet (the first command does)",
        }
        return "; ".join([texts[self._found], *self.failures])

    async def cover(self) -> bool:
        """Whether everything secret in the roots can be found, and so hidden from a command that reads widely."""
        return all([(await self._look(root)).complete for root in self._roots()])

    async def confine(self, command: str, *, cwd: Path, reading: bool, outlet: bool = False) -> Confined:
        """The order for one shell command. Call `release` when it has ended. Raises: OSError without a shell.

        `outlet`: with a way out for granted domains, where it can have one: in bubblewrap, and never when reading.
        `order.outlet_at` tells.
        """
        shell = find_shell()
        if shell is None:
            raise OSError("there is no bash on this machine")
        tier = await self.tier()
        roots = [Path(root).resolve() for root in self._roots()]
        ground = await self._ground(roots, reading=reading, tier=tier)
        try:
            argv = [shell, "--noprofile", "--norc", "-c", command]
            return await self._confined(ground, tier, argv, cwd=cwd, outlet=outlet)
        except BaseException:
            self._placeholders.give_back(ground.placeholders)
            raise

    async def _confined(self, ground: Ground, tier: str, argv: list[str], *, cwd: Path, outlet: bool) -> Confined:
        roots = [Path(root) for root in ground.roots]
        tmp = await asyncio.to_thread(tempfile.mkdtemp, prefix="lsp-agent-") if tier == "landlock" else None
        if tmp is not None:
            ground = replace(ground, writable=(tmp,))
        env = child_environment(self._environ, roots, tmp=tmp or ("/tmp" if tier == "bubblewrap" else None))
        order = Order(argv, str(cwd), env)
        if outlet and tier == "bubblewrap" and not ground.reading:
            order = await self._with_outlet(order, ground)
        order = build_order(tier, ground, order)
        if ground.reading or tier == "none":
            return Confined(order, ground, tmp)
        absent = tuple([path for root in roots for path in absent_places(root)])
        return Confined(order, ground, tmp, absent, frozenset(await self._tops(ground)))

    async def _with_outlet(self, order: Order, ground: Ground) -> Order:
        """The same command behind the lines that open its outlet; tried once on this machine before it is used."""
        python = interpreter(ground)
        if python is None or self._outlet_works is False:
            return order
        behind = replace(
            order,
            argv=launcher(python, order.argv),
            env={**order.env, **PROXY_ENVIRONMENT},
            outlet_at=OUTLET_PLACE,
        )
        if self._outlet_works is None:
            trial = build_order("bubblewrap", ground, replace(behind, argv=launcher(python, ["/bin/true"])))
            self._outlet_works = await opens(self._spawner, trial)
            if not self._outlet_works:
                self.failures.append("commands have no way out for granted domains: it could not be opened")
        return behind if self._outlet_works else order

    async def release(self, confined: Confined) -> list[str]:
        """Take back what `confine` lent. Shape: protected places the command brought into being, as they are called
        now: they were renamed, so that nothing obeys them."""
        self._placeholders.give_back(confined.ground.placeholders)
        made: list[str] = []
        if confined.absent:
            new = await self._tops(confined.ground) - confined.there - set(confined.absent)
            made = await asyncio.to_thread(set_aside, [*confined.absent, *sorted(new)])
        if confined.tmp is not None:
            await asyncio.to_thread(shutil.rmtree, confined.tmp, True)
        return made

    async def _tops(self, ground: Ground) -> set[Path]:
        tops = [await asyncio.to_thread(protected_tops, Path(root), self._is_protected) for root in ground.roots]
        return set().union(*tops)

    async def _ground(self, roots: Sequence[Path], *, reading: bool, tier: str) -> Ground:
        if tier == "none":
            return Ground(tuple(map(str, roots)), reading=reading)
        home = Path(self._environ.get("HOME") or "/nonexistent")
        hidden = await asyncio.to_thread(user_secrets, home, self._hide)
        above = [path for path in hidden if any(root.is_relative_to(path) for root in roots)]
        hidden = [path for path in hidden if path not in above]
        found = [await self._look(root) for root in roots]
        shown = self._show_secrets() and not reading
        secrets = [] if shown else [path for one in found for path in one.secret]
        programs = search_path(self._environ.get("PATH", ""), roots)
        visible = [
            *programs,
            *[str(Path(entry).parent) for entry in programs if Path(entry).name == "shims"],
            *[str(path) for path in (home / ".gitconfig", home / ".config" / "git") if path.exists()],
        ]
        ground = Ground(
            tuple(map(str, roots)),
            reading=reading,
            hidden=(*hidden, *secrets),
            visible=tuple(visible),
        )
        if reading or tier != "bubblewrap":
            return ground
        standing = set(map(str, self._placeholders.standing()))
        protected = tuple([path for one in found for path in one.protected if path not in standing])
        absent = [path for root in roots for path in absent_in_git(root)]
        mine = [path for path in self._placeholders.standing() if path not in absent]
        return replace(ground, protected=protected, placeholders=self._placeholders.take([*absent, *mine]))

    async def _look(self, root: Path) -> Found:
        return await asyncio.to_thread(self._lookout.look, root)

    async def _probe(self) -> str:
        for tier in self._tiers:
            if tier == "none":
                return tier
            problem = _missing(tier)
            if problem is None:
                problem = await break_out(self._spawner, partial(build_order, tier))
            if problem is None:
                return tier
            self.failures.append(f"{tier} is not used: {problem}")
            _log.warning("sandbox: %s is not used: %s", tier, problem)
        return "none"


def build_order(tier: str, ground: Ground, order: Order) -> Order:
    """`order` inside the walls of `tier`. Pure but for looking at what is there."""
    if tier == "bubblewrap":
        binary = system_binary("bwrap") or "/usr/bin/bwrap"
        families = {seccomp.AF_INET, seccomp.AF_INET6}
        line = bubblewrap.arguments(binary, ground, order.argv, cwd=order.cwd, root_user=os.geteuid() == 0)
        return replace(
            order,
            argv=line,
            cwd="/",
            seccomp=seccomp.filter_bytes(sockets=families, keep_ownership=False) or b"",
            seccomp_at=2,
            walls=bubblewrap.WALLS,
            placeholders=ground.placeholders,
            outlet_at=None if order.outlet_at is None else len(line) - len(order.argv) + order.outlet_at,
        )
    if tier == "landlock":
        families = {seccomp.AF_INET, seccomp.AF_INET6} if ground.network else set()
        writable = [*ground.writable, *(() if ground.reading else ground.roots)]
        return replace(
            order,
            seccomp=seccomp.filter_bytes(sockets=families, keep_ownership=True) or b"",
            landlock={
                "readable": readable_places(ground),
                "listable": ground.roots,
                "writable": [*writable, "/dev/null", "/dev/zero", "/dev/full"],
            },
        )
    return order


def _missing(tier: str) -> str | None:
    """What the tier lacks on this machine, seen without starting anything."""
    if seccomp.filter_bytes(sockets=(), keep_ownership=True) is None or not Path("/proc/self").exists():
        return "this kind of machine is not known"
    if tier == "bubblewrap" and system_binary("bwrap") is None:
        return "bwrap is not installed"
    if tier == "landlock" and landlock.abi() < landlock.MINIMUM_ABI:
        return "the kernel has no Landlock, or an old one"
    return None
