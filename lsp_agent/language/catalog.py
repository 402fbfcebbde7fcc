"""Language servers we know how to start, as data: command, files, language ids. Nothing here starts anything.

Only programs found on the user's own `PATH` outside the workspace are ever used (CORE 35). Of the entries for one
language the first one found is used; one marked `beside` (a linter) is used in addition to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One program. `languages`: file suffix (or whole name) to LSP language id."""

    name: str
    command: Sequence[str]
    languages: Mapping[str, str]
    group: str
    beside: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    """`initializationOptions`."""

    def language_of(self, path: Path) -> str | None:
        """The language id of a file; None when it is not one of its files."""
        return self.languages.get(path.suffix.casefold()) or self.languages.get(path.name.casefold())


_PYTHON = {".py": "python", ".pyi": "python"}
_SCRIPT = {
    ".ts": "typescript", ".tsx": "typescriptreact", ".mts": "typescript", ".cts": "typescript",
    ".js": "javascript", ".jsx": "javascriptreact", ".mjs": "javascript", ".cjs": "javascript",
}  # fmt: skip
_C = {
    ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp", ".hxx": "cpp",
    ".m": "objective-c", ".mm": "objective-cpp", ".cu": "cuda-cpp",
}  # fmt: skip
_SHELL = {".sh": "shellscript", ".bash": "shellscript", ".bashrc": "shellscript"}

CATALOG: tuple[ServerSpec, ...] = (
    ServerSpec("basedpyright", ("basedpyright-langserver", "--stdio"), _PYTHON, "python"),
    ServerSpec("pyright", ("pyright-langserver", "--stdio"), _PYTHON, "python"),
    ServerSpec("pylsp", ("pylsp",), _PYTHON, "python"),
    ServerSpec("jedi", ("jedi-language-server",), _PYTHON, "python"),
    ServerSpec("ruff", ("ruff", "server"), _PYTHON, "python", beside=True),
    ServerSpec("typescript", ("typescript-language-server", "--stdio"), _SCRIPT, "script"),
    ServerSpec("vtsls", ("vtsls", "--stdio"), _SCRIPT, "script"),
    ServerSpec("gopls", ("gopls",), {".go": "go", "go.mod": "go.mod"}, "go"),
    ServerSpec("rust-analyzer", ("rust-analyzer",), {".rs": "rust"}, "rust"),
    ServerSpec("clangd", ("clangd",), _C, "c"),
    ServerSpec("ccls", ("ccls",), _C, "c"),
    ServerSpec("lua", ("lua-language-server",), {".lua": "lua"}, "lua"),
    ServerSpec("bash", ("bash-language-server", "start"), _SHELL, "shell"),
    ServerSpec("ruby-lsp", ("ruby-lsp",), {".rb": "ruby"}, "ruby"),
    ServerSpec("solargraph", ("solargraph", "stdio"), {".rb": "ruby"}, "ruby"),
    ServerSpec("zls", ("zls",), {".zig": "zig"}, "zig"),
    ServerSpec("intelephense", ("intelephense", "--stdio"), {".php": "php"}, "php"),
    ServerSpec("jdtls", ("jdtls",), {".java": "java"}, "java"),
    ServerSpec("kotlin", ("kotlin-language-server",), {".kt": "kotlin", ".kts": "kotlin"}, "kotlin"),
    ServerSpec("elixir", ("elixir-ls",), {".ex": "elixir", ".exs": "elixir"}, "elixir"),
    ServerSpec("haskell", ("haskell-language-server-wrapper", "--lsp"), {".hs": "haskell"}, "haskell"),
    ServerSpec("terraform", ("terraform-ls", "serve"), {".tf": "terraform"}, "terraform"),
    ServerSpec("yaml", ("yaml-language-server", "--stdio"), {".yaml": "yaml", ".yml": "yaml"}, "yaml"),
)


def specs_for(path: Path, catalog: Sequence[ServerSpec] = CATALOG) -> list[ServerSpec]:
    """The entries for a file, in order of preference."""
    return [spec for spec in catalog if spec.language_of(path) is not None]
