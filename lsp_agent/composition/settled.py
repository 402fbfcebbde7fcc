"""What is decided before anything is opened: the folders, where state lives, what is trusted, the settings in force."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsp_agent.clock import SystemClock
from lsp_agent.composition.looks import Looks
from lsp_agent.composition.rules import Rules
from lsp_agent.config.live import LiveConfig
from lsp_agent.config.load import load_config
from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, refuse_inside
from lsp_agent.config.sections import Config
from lsp_agent.domain.errors import StoreError
from lsp_agent.hooks.config import HookBook
from lsp_agent.server.negotiation import Negotiated
from lsp_agent.trust.store import TrustStore
from lsp_agent.workspace.roots import Roots


class Settled:
    """The settings of one workspace; they follow the files they are read from. Raises: StoreError."""

    def __init__(self, agreed: Negotiated, clock: SystemClock, flags: Mapping[str, Any]) -> None:
        self.roots = Roots([Path(path) for path in agreed.roots])
        self.config_dir = config_file(os.environ).parent
        self.notices: list[str] = []
        self.directory = self._data_dir()
        self.trust = TrustStore(self.directory, roots=lambda: self.roots.paths, now_ms=clock.now_ms)
        self.rules = Rules()
        self._told: set[str] = set()
        self._followers: list[Callable[[Config], None]] = []
        self.hook_book = HookBook(Path.home(), lambda: self.roots.paths)
        self.looks = Looks()
        """Short looks at the disk, for whoever takes them at the beginning of a turn."""
        self.live = LiveConfig(
            lambda last_good: load_config(
                os.environ,
                flags,
                (agreed.options,),
                project_root=self.roots.paths[0],
                trusted=self.trust.admits,
                last_good=last_good,
                watch=(self.trust.path,),
            ),
            self._follow,
            in_thread=self.looks,
        )
        self._follow(self.live.current)

    @property
    def config(self) -> Config:
        """What is in force now."""
        return self.live.current

    def follow(self, take: Callable[[Config], None]) -> None:
        """`take` gets the configuration in force, now and whenever it was read again."""
        self._followers.append(take)
        take(self.config)

    def news(self) -> list[str]:
        """Sentences for the user about what is wrong in the settings, each told once."""
        found = [*self.notices, *self.rules.problems, *map(str, self.hook_book.current.problems)]
        fresh = [text for text in dict.fromkeys(found) if text not in self._told]
        self._told.update(fresh)
        return [*fresh, *self.live.news()]

    def _follow(self, config: Config) -> None:
        self.rules.follow(config)
        self.hook_book.follow(config.hooks)
        for take in self._followers:
            take(config)

    def _data_dir(self) -> Path:
        """Where state lives. One that lies inside the workspace is used when the user named it, and spoken of."""
        try:
            directory = data_dir(os.environ, self.roots.paths[0])
        except DataDirRefused as error:
            raise StoreError(str(error)) from error
        try:
            refuse_inside(directory, self.roots.paths, home=Path.home())
        except DataDirRefused as error:
            self.notices.append(str(error))
        return directory
