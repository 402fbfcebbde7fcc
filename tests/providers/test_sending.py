"""Addresses are joined, the client of a service is made once and closed once, certificates are read once."""

import asyncio
import os
import ssl
import threading
from pathlib import Path

import pytest
import trustme

from lsp_agent.domain.errors import ProviderError
from lsp_agent.providers.azure import azure_address
from lsp_agent.providers.proxies import TlsContexts, http_client
from lsp_agent.providers.sending import OneClient, address


@pytest.mark.parametrize(
    ("base", "path", "query", "expected"),
    [
        ("https://h", "/v1/messages", {}, "https://h/v1/messages"),
        ("https://h/", "v1/messages", {}, "https://h/v1/messages"),
        ("https://h/a/b/", "/c", {}, "https://h/a/b/c"),
        ("https://h/a#part", "/c", {}, "https://h/a/c"),
        ("https://h/a?x=1", "/c?alt=sse", {}, "https://h/a/c?x=1&alt=sse"),
        ("https://h/a?x=1&y=a%20b", "/c", {"x": "2 3&"}, "https://h/a/c?y=a%20b&x=2%203%26"),
        ("https://h/a?", "/m%2Fn:stream?alt=sse", {"v": ""}, "https://h/a/m%2Fn:stream?alt=sse&v="),
    ],
)
def test_a_path_goes_below_an_address_whatever_that_looks_like(base, path, query, expected):
    assert address(base, path, query) == expected


def test_an_azure_address_keeps_its_query():
    found = azure_address("https://n.openai.azure.com/openai?api-version=2026-01-01&team=a", "")
    assert found.base_url == "https://n.openai.azure.com/openai"
    assert found.chat_path == "/deployments/{}/chat/completions"
    assert found.query == {"team": "a", "api-version": "2026-01-01"}
    assert azure_address("https://n.openai.azure.com?api-version=2025-01-01", "v1").query == {}


class Made:
    """Counts clients; `gate` holds their making back."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.trouble: Exception | None = None

    def make(self) -> int:
        assert self.gate.wait(5)
        if self.trouble is not None:
            raise self.trouble
        self.made += 1
        return self.made

    async def close(self, _: int) -> None:
        self.closed += 1


async def test_a_client_is_made_once_for_everybody_and_closed_once():
    made = Made()
    client = OneClient(made.make, made.close)
    made.gate.clear()
    waiting = [asyncio.create_task(client.ready()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    made.gate.set()
    assert await asyncio.gather(*waiting[1:]) == [1, 1, 1, 1]
    await client.close()
    await client.close()
    assert (made.made, made.closed) == (1, 1)


async def test_a_client_that_is_only_being_made_is_closed_too():
    made = Made()
    client = OneClient(made.make, made.close)
    made.gate.clear()
    waiting = asyncio.create_task(client.ready())
    await asyncio.sleep(0)
    closing = asyncio.create_task(client.close())
    made.gate.set()
    await closing
    await waiting
    assert (made.made, made.closed) == (1, 1)


async def test_a_failure_is_told_to_all_and_the_next_one_tries_again():
    made = Made()
    made.trouble = OSError("no")
    client = OneClient(made.make, made.close)
    found = await asyncio.gather(client.ready(), client.ready(), return_exceptions=True)
    assert [type(error) for error in found] == [OSError, OSError]
    made.trouble = None
    assert await client.ready() == 1
    await client.close()
    assert made.closed == 1


async def test_closing_after_a_failure_is_fine():
    made = Made()
    made.trouble = OSError("no")
    client = OneClient(made.make, made.close)
    with pytest.raises(OSError):
        await client.ready()
    await client.close()
    assert made.closed == 0


def test_certificates_are_read_once_and_again_when_their_file_changes(tmp_path: Path):
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    contexts = TlsContexts()
    first = contexts.trusting(str(path), trust_env=True)
    assert contexts.trusting(str(path), trust_env=True) is first
    assert contexts.trusting("", trust_env=True) is contexts.trusting("", trust_env=True) is not first
    assert all(isinstance(one, ssl.SSLContext) and one.check_hostname for one in (first,))
    path.write_text("spoiled")
    os.utime(path, ns=(1, 1))
    with pytest.raises(ProviderError, match=r"ca\.pem cannot be used"):
        contexts.trusting(str(path), trust_env=True)


@pytest.mark.parametrize(
    ("base_url", "reads"), [("http://127.0.0.1:1", 0), ("https://127.0.0.1:1", 1), ("https://h.test", 1)]
)
async def test_a_plain_server_on_this_machine_needs_no_certificates(base_url: str, reads: int):
    class Counting(TlsContexts):
        asked = 0

        def trusting(self, ca_file: str, *, trust_env: bool) -> ssl.SSLContext:
            self.asked += 1
            return super().trusting(ca_file, trust_env=trust_env)

    contexts = Counting()
    client = http_client(base_url, contexts=contexts)
    assert contexts.asked == reads
    assert client.timeout.connect == 15.0
    assert client.timeout.read is client.timeout.write is client.timeout.pool is None
    await client.aclose()
