import importlib
import inspect

import pytest

from tests.crash.points import POINTS, before, half_data


@pytest.mark.parametrize("name", sorted(POINTS))
def test_every_named_crash_point_is_a_place_in_the_product(name):
    point = POINTS[name]
    owner = importlib.import_module(point.module)
    for part in point.name.split("."):
        owner = getattr(owner, part)
    assert callable(owner)
    # `before` of a coroutine function would pass when it is called, which is the same place
    assert not (point.around is half_data and inspect.iscoroutinefunction(owner))


def test_a_point_half_way_is_passed_with_half_of_the_data_written():
    written, passed = [], []
    half_data(lambda fd, data: written.append(data), lambda: passed.append(list(written)))(1, b"abcdef")
    assert passed == [[b"abc"]]
    assert written == [b"abc", b"def"]


def test_a_point_before_is_passed_before_the_function_runs():
    order = []
    before(lambda: order.append("ran"), lambda: order.append("passed"))()
    assert order == ["passed", "ran"]
