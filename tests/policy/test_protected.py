import itertools

import pytest

from lsp_agent.policy.protected import is_protected, is_secret


@pytest.mark.parametrize(
    "path",
    [
        ".git/hooks/pre-commit",
        ".git/config",
        "sub/.git/config",
        "/w/.git/modules/x/config",
        ".vscode/settings.json",
        ".idea/workspace.xml",
        ".github/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".mcp.json",
        ".lsp-agent.toml",
        ".claude/settings.json",
        ".cursor/mcp.json",
        ".bashrc",
        ".zshrc",
        ".profile",
        ".envrc",
        ".ssh/authorized_keys",
        "AGENTS.md",
    ],
)
def test_protected_paths(path):
    assert is_protected(path)


@pytest.mark.parametrize(
    "path",
    ["src/a.py", "config", "git/hooks/x", ".gitignore", ".vscode/readme.md", "x.git/config", "docs/bashrc.md", "."],
)
def test_ordinary_paths(path):
    assert not is_protected(path)


def test_FS_06_case_does_not_matter():
    for letters in itertools.product(*[(ch, ch.upper()) for ch in "git"]):
        assert is_protected("." + "".join(letters) + "/hooks/x")
    assert is_protected(".cUrSoR/mcp.json")


@pytest.mark.parametrize(
    "path",
    [
        ".git./hooks/x",
        ".git /config",
        ".git::$INDEX_ALLOCATION/config",
        ".vscode\\tasks.json",
        ".g\u200bit/config",
        "./.git/./config",
        "\uff0egit/config",
        ".mcp.json.",
    ],
)
def test_FS_07_other_spellings_of_the_same_file(path):
    assert is_protected(path)


@pytest.mark.parametrize(
    "path", [".env", ".env.production", "server.pem", "ID_RSA", ".aws/credentials", "secrets.yaml"]
)
def test_secret_files(path):
    assert is_secret(path)


@pytest.mark.parametrize("path", [".env.example", "id_rsa.pub", "environment.py", "a.py", "keyboard.ts", "."])
def test_files_without_secrets(path):
    assert not is_secret(path)
