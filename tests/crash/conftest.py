import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/crash/" in item.path.as_posix() and item.path.name != "test_points.py":
            item.add_marker(pytest.mark.process)
