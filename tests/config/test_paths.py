import stat
from pathlib import Path

import pytest

from lsp_agent.config.paths import DataDirRefused, config_file, data_dir, prepare_data_dir, workspace_root


def test_the_named_file_wins_then_xdg_then_home():
    assert config_file({"LSP_AGENT_CONFIG": "/x/c.toml", "HOME": "/h"}) == Path("/x/c.toml")
    assert config_file({"XDG_CONFIG_HOME": "/xdg", "HOME": "/h"}) == Path("/xdg/lsp-agent/config.toml")
    assert config_file({"HOME": "/h"}) == Path("/h/.config/lsp-agent/config.toml")
    assert config_file({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path("/h/.config/lsp-agent/config.toml")


def test_state_has_its_own_place():
    root = Path("/w/my app")
    assert data_dir({"LSP_AGENT_DATA_DIR": "/d", "HOME": "/h"}, root) == Path("/d")
    assert data_dir({"XDG_STATE_HOME": "/s", "HOME": "/h"}, root).parent == Path("/s/lsp-agent/workspaces")
    assert data_dir({"HOME": "/h"}, root).parent == Path("/h/.local/state/lsp-agent/workspaces")
    assert data_dir({"HOME": "/h"}, root).name.startswith("myapp-")


def test_every_workspace_has_a_directory_of_its_own_however_its_path_is_written(tmp_path):
    env = {"HOME": str(tmp_path / "home")}
    one, two = tmp_path / "a/app", tmp_path / "b/app"
    one.mkdir(parents=True)
    two.mkdir(parents=True)
    (tmp_path / "link").symlink_to(one)
    assert data_dir(env, one) != data_dir(env, two)
    assert data_dir(env, tmp_path / "link") == data_dir(env, one) == data_dir(env, one / ".." / "app")


def test_a_terminal_below_a_known_workspace_means_that_workspace_but_never_the_home_directory(tmp_path):
    home = tmp_path / "home"
    env = {"HOME": str(home)}
    known, below = home / "w", home / "w/src/deep"
    below.mkdir(parents=True)
    assert workspace_root(env, below) == below
    data_dir(env, home).mkdir(parents=True)
    assert workspace_root(env, below) == below
    data_dir(env, known).mkdir(parents=True)
    assert workspace_root(env, below) == known
    assert workspace_root({**env, "LSP_AGENT_DATA_DIR": "/d"}, below) == below


def test_a_relative_data_directory_is_refused():
    with pytest.raises(DataDirRefused):
        data_dir({"LSP_AGENT_DATA_DIR": "state"}, Path("/w"))


def test_the_data_directory_is_private_also_when_it_was_not(tmp_path):
    path = tmp_path / "a" / "b"
    env = {"LSP_AGENT_DATA_DIR": str(path), "HOME": str(tmp_path / "home")}
    assert prepare_data_dir(env) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    prepare_data_dir(env)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_data_directory_is_never_below_a_root_not_even_through_a_link(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    link = tmp_path / "link"
    link.symlink_to(root)
    for path in (root / "state", link / "state", root):
        env = {"LSP_AGENT_DATA_DIR": str(path), "HOME": str(tmp_path / "home")}
        with pytest.raises(DataDirRefused):
            prepare_data_dir(env, [root])
    assert list(root.iterdir()) == []


def test_a_root_that_holds_the_home_directory_does_not_count(tmp_path):
    home = tmp_path / "home"
    env = {"HOME": str(home)}
    assert prepare_data_dir(env, [tmp_path, home]).parent == home / ".local/state/lsp-agent/workspaces"


def test_a_file_in_the_way_is_an_error_of_ours(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(DataDirRefused):
        prepare_data_dir({"LSP_AGENT_DATA_DIR": str(tmp_path / "f"), "HOME": "/h"})
