"""`lsp-agent local`: fetch, list and remove the weights of the embedded engine. Never done without being asked."""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable

from lsp_agent.local.engine import INSTALL, engine_installed
from lsp_agent.local.pulling import Offer, pull, remove, size_text
from lsp_agent.local.weights import KNOWN, WeightsError, find, installed, models_dir

_SHOW_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lsp-agent local`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    fetch = actions.add_parser("pull", help="fetch weights; says their size and asks first")
    fetch.add_argument("name")
    fetch.add_argument("--url", help="fetch from here; the checksum must be that of the named weights")
    fetch.add_argument("--yes", action="store_true", help="do not ask")
    actions.add_parser("list", help="known weights, and which of them are here")
    delete = actions.add_parser("rm", help="delete weights")
    delete.add_argument("name")
    place = actions.add_parser("path", help="where weights are kept, or where these are")
    place.add_argument("name", nargs="?")


def local_command(options: argparse.Namespace) -> int:
    """Carry out `lsp-agent local …`. Status 1 when it could not be done, 130 when it was interrupted."""
    directory = models_dir(os.environ)
    try:
        match options.action:
            case "pull":
                return _pull(options)
            case "rm":
                item = find(options.name, directory)
                print(f"{item.name}: {size_text(remove(item, directory))} freed")
            case "path":
                print(find(options.name, directory).path if options.name else directory)
            case _:
                _list()
    except WeightsError as error:
        print(str(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what was fetched is kept, run the command again to go on", file=sys.stderr)
        return 130
    return 0


def _pull(options: argparse.Namespace) -> int:
    directory = models_dir(os.environ)
    item = asyncio.run(
        pull(options.name, directory, confirm=_asker(yes=options.yes), on_progress=_shower(), url=options.url)
    )
    print(f"\r{item.name} is here: {item.path}", flush=True)
    if not engine_installed():
        print(f"The engine is not installed yet: {INSTALL}")
    return 0


def _asker(*, yes: bool) -> Callable[[Offer], bool]:
    def ask(offer: Offer) -> bool:
        print(offer.sentence, flush=True)
        if yes:
            return True
        if not sys.stdin.isatty():
            print("Not fetched: there is nobody to ask. Add --yes.", file=sys.stderr)
            return False
        return input("Fetch it? [y/N] ").strip().lower() in {"y", "yes"}

    return ask


def _shower() -> Callable[[int, int], None]:
    last_s = 0.0

    def show(have: int, total: int) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if sys.stdout.isatty() and (now_s - last_s > _SHOW_S or have == total):
            last_s = now_s
            print(f"\r{size_text(have)} of {size_text(total)} ({100 * have // total} %)   ", end="", flush=True)

    return show


def _list() -> None:
    here = {item.name: item for item in installed(models_dir(os.environ))}
    for weights in KNOWN:
        mark = "here" if weights.name in here else "    "
        print(f"{mark}  {weights.name:<20} {size_text(weights.size):>9}  {weights.licence}  {weights.good_for}")
    for item in here.values():
        if item.known is None:
            print(f"here  {item.name:<20} {size_text(item.path.stat().st_size):>9}")
    if not engine_installed():
        print(f"\nThe engine is not installed: {INSTALL}")
