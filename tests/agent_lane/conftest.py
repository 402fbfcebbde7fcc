import pytest

from tests.agent_lane.stage import Stage


@pytest.fixture
def make_stage():
    stages = []

    def make(*arguments, **options):
        stage = Stage(*arguments, **options)
        stages.append(stage)
        stage.next_lives = stages
        return stage

    yield make
    for stage in stages:
        if not stage.loop.is_closed():
            stage.loop.abandon()


@pytest.fixture
def stage(make_stage):
    return make_stage()
