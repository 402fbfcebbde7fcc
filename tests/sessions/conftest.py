import importlib.util
import sys
from pathlib import Path

import pytest

# a name of its own: with importlib mode every folder may have its doubles
_spec = importlib.util.spec_from_file_location("session_doubles", Path(__file__).with_name("doubles.py"))
assert _spec is not None
assert _spec.loader is not None
_doubles = importlib.util.module_from_spec(_spec)
sys.modules["session_doubles"] = _doubles
_spec.loader.exec_module(_doubles)


@pytest.fixture
def world():
    return _doubles.World()
