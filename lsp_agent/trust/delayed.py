"""Files that run by themselves later: at the next build, test, install or commit (RELIABILITY CF-09). Pure.

What editors and CI run is protected and always asks (`policy.protected`). Build files are ordinary work, so they only
get a sentence in the question that says what approving them means.
"""

import re

from lsp_agent.policy.protected import canonical
from lsp_agent.ports.approver import PermissionAsk
from lsp_agent.trust.remote_references import remote_references_of

_BUILD = re.compile(
    "(?:.*/)?(?:"
    + "|".join(
        (
            r"(?:gnu)?makefile|.*\.mk|justfile|\.justfile|taskfile\.ya?ml|rakefile|.*\.rake|gemfile|.*\.gemspec",
            r"package\.json|gulpfile\.[cm]?[jt]s|gruntfile\.[cm]?js|.*\.config\.[cm]?[jt]s|\.?lintstagedrc.*",
            r"conftest\.py|setup\.py|setup\.cfg|pyproject\.toml|tox\.ini|noxfile\.py|fabfile\.py|tasks\.py|.*\.pth",
            r"build\.rs|cargo\.toml|\.cargo/config(?:\.toml)?|cmakelists\.txt|.*\.cmake|meson\.build|configure(?:\.ac)?",
            r"build\.gradle(?:\.kts)?|settings\.gradle(?:\.kts)?|gradlew|mvnw|pom\.xml|.*\.(?:cs|fs|vb)proj|.*\.targets",
            r"dockerfile(?:\..*)?|containerfile|(?:docker-)?compose(?:\..*)?\.ya?ml|vagrantfile|procfile|.*\.nix",
            r"(?:module\.)?build(?:\.bazel)?|workspace(?:\.bazel)?|lefthook\.ya?ml|mix\.exs|package\.swift|podfile",
        )
    )
    + ")",
    re.DOTALL,
)


def runs_later(path: str) -> bool:
    """Whether a tool of the trade runs what this file says, some time after it was written."""
    return _BUILD.fullmatch(canonical(path)) is not None


def warning(ask: PermissionAsk) -> str | None:
    """What the user should know before saying yes to a change of a file; None = nothing special."""
    if ask.action not in ("write", "download"):
        return None
    found = remote_references_of(ask)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"Opening this file makes an editor load {found[0]}{more}."
    if ask.path is not None and runs_later(ask.path):
        return "This file is executed later, by a build, a test or an installation."
    return None
