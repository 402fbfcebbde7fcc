import time
from pathlib import Path

import pytest

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.keys import is_template, missing_variables, resolve
from tests.providers.doubles import until

ENV = {"KEY": "hunter2", "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("literal", "literal"),
        ("", ""),
        ("$KEY", "hunter2"),
        ("${KEY}", "hunter2"),
        ("Bearer $KEY", "Bearer hunter2"),
        ("a$$b", "a$b"),
        ("$(echo from-a-command)", "from-a-command"),
        ("$(printf '%s' 'two words')", "two words"),
        ("$(echo $KEY | tr h H)", "Hunter2"),
        ("$5", "$5"),
    ],
)
async def test_templates_are_resolved(template: str, value: str):
    assert await resolve(template, ENV, owner="providers.x.api_key") == value


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("$MISSING", "MISSING"),
        ("$(false)", "exit code 1"),
        ("$(true)", "printed nothing"),
        ("$(no-such-program-here secret-argument)", "no-such-program-here cannot be run"),
        ("$(echo 'unbalanced)", "cannot be read"),
    ],
)
async def test_what_cannot_be_resolved_says_what_to_do_and_shows_no_value(template: str, why: str):
    with pytest.raises(ProviderError) as caught:
        await resolve(template, ENV, owner="providers.x.api_key")
    assert why in caught.value.message
    assert "providers.x.api_key" in caught.value.message
    assert "secret-argument" not in caught.value.message
    assert caught.value.kind == "ProviderAuth"


async def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path):
    start = time.monotonic()
    with pytest.raises(ProviderError, match="longer than"):
        await resolve(f"$(sleep 30 & echo $! > {tmp_path}/pid; wait)", ENV, owner="k", timeout_s=0.3)
    assert time.monotonic() - start < 5
    pid = (tmp_path / "pid").read_text().strip()
    status = Path(f"/proc/{pid}/stat")
    await until(lambda: not status.exists() or " Z " in status.read_text())


async def test_a_command_cannot_read_the_protocol_stream():
    assert await resolve("$(sh -c 'cat; echo end')", ENV, owner="k") == "end"


def test_templates_are_told_from_literals():
    assert is_template("$KEY")
    assert not is_template("sk-123")
    assert missing_variables("$KEY-$OTHER-${THIRD}-$(cmd $X)", ENV) == ["OTHER", "THIRD"]
