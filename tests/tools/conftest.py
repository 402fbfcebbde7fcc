import pytest

from tests.tools.doubles import World, make_world


@pytest.fixture
def world(tmp_path) -> World:
    root = tmp_path / "w"
    root.mkdir()
    return make_world(root)
