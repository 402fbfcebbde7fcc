"""Paths that always ask before they are written, and paths that ask before they are read. Pure.

Protected: what runs code later or changes what we may do: hooks, editor and agent settings, CI, shell start-up files.
Secret: what usually holds keys. Names are compared with case folded, Unicode composed, and without the dots and
spaces that some file systems drop at the end of a name (RELIABILITY FS-06, FS-07, FS-11, FS-12).
"""

import re
import unicodedata

_PROTECTED = (
    r"\.git/(hooks|modules|worktrees)(/.*)?",
    r"\.git/(config(\.worktree)?|info/attributes)",
    r"\.gitmodules",
    r"\.gitconfig",
    r"\.config/git(/.*)?",
    r"\.husky(/.*)?",
    r"\.pre-commit-config\.ya?ml",
    r"\.vscode/[^/]*\.json",
    r"[^/]*\.code-workspace",
    r"\.idea(/.*)?",
    r"\.vim(/.*)?",
    r"\.?nvimrc|\.?vimrc|\.exrc|\.nvim\.lua|\.config/nvim(/.*)?",
    r"\.dir-locals(-2)?\.el|\.emacs(\.d(/.*)?)?",
    r"\.helix(/.*)?|\.zed(/.*)?",
    r"\.devcontainer(/.*)?|\.devcontainer\.json",
    r"\.github/(workflows|actions)(/.*)?",
    r"\.gitlab-ci\.ya?ml|\.circleci(/.*)?|azure-pipelines\.ya?ml|jenkinsfile|\.travis\.ya?ml|\.drone\.ya?ml",
    r"\.woodpecker(/.*)?|\.woodpecker\.ya?ml|\.buildkite(/.*)?|bitbucket-pipelines\.ya?ml|\.ci(/.*)?",
    r"\.mcp\.json",
    r"\.lsp-agent(\.toml|/.*)?|\.config/lsp-agent(/.*)?|\.local/state/lsp-agent(/.*)?",
    r"\.claude(\.json|/.*)?|\.cursor(/.*)?|\.cursorrules|\.crush(\.json|/.*)?|crush\.json|\.codex(/.*)?|\.gemini(/.*)?",
    r"\.aider[^/]*|\.continue(/.*)?|\.windsurf(/.*)?|\.windsurfrules|\.amazonq(/.*)?|\.kiro(/.*)?",
    r"claude(\.local)?\.md|agents\.md|crush\.md|gemini\.md|\.github/copilot-instructions\.md",
    r"\.(bash|zsh|k|c|tc)(rc|env|_profile|_login|_logout|_aliases)|\.(bash|z)?profile|\.zlog(in|out)|\.login",
    r"\.config/(fish|systemd|autostart)(/.*)?",
    r"\.envrc|\.npmrc|\.yarnrc(\.ya?ml)?|\.pypirc|\.pythonstartup|\.ripgreprc|\.inputrc|\.direnvrc",
    r"\.ssh(/.*)?|\.gnupg(/.*)?",
    r"sitecustomize\.py|usercustomize\.py",
)
_SECRET = (
    r"\.env(\.[^/]*)?",
    r"[^/]*\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|gpg)",
    r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?",
    r"\.(npmrc|pypirc|netrc|pgpass|my\.cnf|htpasswd|git-credentials|dockercfg|vault-token)|_netrc",
    r"\.(aws|kube|azure|gnupg|ssh|docker)/.*",
    r"\.config/(gcloud|gh|hub)(/.*)?",
    r"credentials(\.json|\.toml|\.ya?ml)?|secrets?\.(json|toml|ya?ml)|service[-_]account[^/]*\.json",
    r"proc/.*",
)
_HARMLESS = re.compile(r"(?:.*/)?\.env\.(example|sample|template|dist|defaults?)|.*\.pub")


def _either(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Our own patterns only, each linear: never anything a model wrote."""
    return re.compile("(?:.*/)?(?:" + "|".join([f"(?:{pattern})" for pattern in patterns]) + ")", re.DOTALL)


_PROTECTED_PATH = _either(_PROTECTED)
_SECRET_PATH = _either(_SECRET)


def canonical(path: str) -> str:
    """`path` for comparing: `/` only, case folded, composed, no dots, spaces or stream names at the end of a part."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", path).casefold())
    visible = "".join([ch for ch in text if unicodedata.category(ch) != "Cf"])
    parts = [_plain_part(part) for part in visible.replace("\\", "/").split("/")]
    return "/".join([part for part in parts if part != "."])


def is_protected(path: str) -> bool:
    """Writing it always asks, whatever the mode, the rules and earlier grants say."""
    return _PROTECTED_PATH.fullmatch(canonical(path)) is not None


def is_secret(path: str) -> bool:
    """Reading it asks, also inside the workspace."""
    text = canonical(path)
    return _SECRET_PATH.fullmatch(text) is not None and _HARMLESS.fullmatch(text) is None


def _plain_part(part: str) -> str:
    """Windows ignores dots and spaces at the end of a name and everything after a colon."""
    name = part.split(":", 1)[0] if not re.fullmatch(r"[a-z]:", part) else part
    return name.rstrip(". ") or part
