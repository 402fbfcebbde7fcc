"""`lsp-agent trust [--revoke | --show] [PATH]`: the user's own way to trust a folder, with no editor around."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lsp_agent.config.paths import DataDirRefused, data_dir
from lsp_agent.domain.errors import WorkspaceError
from lsp_agent.trust.store import Trust, TrustRefused, TrustStore
from lsp_agent.untrusted import clean


def cli_trust(
    folder: Path,
    *,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    now_ms: Callable[[], int],
    revoke: bool = False,
    show: bool = False,
) -> int:
    """Trust `folder`, take it back (`revoke`) or only tell (`show`); returns the exit status.

    A server that runs sees the decision at its next turn.
    """
    try:
        store = TrustStore(data_dir(environ, folder), now_ms=now_ms)
        found = store.state(folder) if show else store.set(folder, not revoke)
    except TrustRefused as error:
        say(f"{clean(str(folder))} cannot be trusted: {error}")
        return 1
    except (DataDirRefused, WorkspaceError) as error:
        say(clean(str(error)))
        return 1
    except OSError as error:
        say(f"the decision could not be kept: {error.strerror}")
        return 1
    for line in lines(found):
        say(line)
    return 0


def lines(found: Trust) -> list[str]:
    """What `lsp-agent trust` prints. File names are somebody else's text."""
    said = [f"{clean(str(found.root))}: {'trusted' if found.trusted else 'not trusted'}"]
    for path in found.files:
        name = clean(path.relative_to(found.root).as_posix()).replace("\n", "?")
        state = "obeyed" if found.trusted and path not in found.changed else "not obeyed"
        changed = " (changed or new)" if path in found.changed else ""
        said.append(f"  {name}: {state}{changed}{' (holds hidden characters)' if path in found.hidden else ''}")
    if not found.complete:
        said.append("  the folder is too large to be looked through; what was not reached is not obeyed")
    return said
