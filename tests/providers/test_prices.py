"""The price list: the shipped one, of the published file, and what is made of it when either is hostile."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pytest

from lsp_agent.domain.model import Model
from lsp_agent.providers import prices_source
from lsp_agent.providers.catalog import SERVICES
from lsp_agent.providers.prices import Listed, PriceList, fits
from lsp_agent.providers.prices_file import MAX_BYTES, Prices
from lsp_agent.providers.prices_source import SHIPPED_VERSION, from_raw, shipped
from lsp_agent.providers.registry import ProviderRegistry
from lsp_agent.providers.settings import ProviderSettings, ProvidersSettings
from tests.providers.prices_of_package import shipped_bytes

TODAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def installed() -> PriceList:
    return shipped(TODAY)


def test_the_shipped_list_is_what_the_installed_package_says():
    path = Path(prices_source.__file__).with_name("prices_list.json")
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_bytes(shipped_bytes())
    assert version("genai-prices") == SHIPPED_VERSION, "the package was updated: write the list anew"
    assert path.read_bytes() == shipped_bytes()


def usd(model: Model) -> tuple[float, ...]:
    return (
        model.input_usd_per_mtok,
        model.output_usd_per_mtok,
        model.cache_read_usd_per_mtok,
        model.cache_write_usd_per_mtok,
    )


def test_the_installed_list_and_our_catalogue_name_the_same_prices(installed: PriceList):
    """Two sources, made apart; where both know a model they must agree to the last digit."""
    compared = 0
    for service in SERVICES:
        for model in service.models:
            listed = installed.find(service.provider_id, model.model_id)
            if listed is not None and any(listed.usd):
                assert listed.usd == usd(model), model.ref
                compared += 1
    assert compared >= 20
    assert len(installed) > 1000


def test_our_lookup_agrees_with_the_packages_own(installed: PriceList):
    from genai_prices.data import providers

    for provider in providers:
        if provider.id.startswith("huggingface_"):
            continue
        for model in provider.models:
            found = installed.find(provider.id, model.id)
            assert found is not None, (provider.id, model.id)
            assert found.model_id == model.id
            assert (found.window or None) == model.context_window or found.window == 0


def test_a_dated_name_finds_its_model(installed: PriceList):
    found = installed.find("anthropic", "claude-haiku-4-5-20251001")
    assert found is not None
    assert found.model_id == "claude-haiku-4-5"
    assert installed.find("anthropic", "nobody") is None
    assert installed.find("my-own-server", "claude-haiku-4-5") is None
    assert installed.find("copilot", "gpt-4.1") is None


def test_what_the_list_says_fills_gaps_and_never_overrides_the_users_own_prices():
    listed = PriceList({"openai": [Listed("m", "Em", 1000, (1.0, 2.0, 0.5, 0.0))]})
    assert usd(listed.priced(Model("openai", "m"))) == (1.0, 2.0, 0.5, 0.0)
    assert listed.priced(Model("openai", "m")).context_window == 1000
    mine = Model("openai", "m", name="Mine", context_window=5, output_usd_per_mtok=9.0)
    assert listed.priced(mine) == mine
    assert usd(listed.priced(mine, ours=True)) == (1.0, 2.0, 0.5, 0.0)
    assert listed.priced(mine, ours=True).context_window == 5


def test_a_price_that_changes_on_a_date_is_the_one_in_force():
    prices = [
        {"prices": {"input_mtok": 5}},
        {"constraint": {"start_date": "2026-03-13"}, "prices": {"input_mtok": 4}},
        {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": 3}},
        {"constraint": {"start_time": "00:30", "end_time": "05:00"}, "prices": {"input_mtok": 1}},
    ]
    raw = [{"id": "p", "models": [{"id": "m", "prices": prices}, {"id": "t", "prices": {"input_mtok": {"base": 7}}}]}]
    found = from_raw(raw, TODAY, source="x")
    assert [one.usd[0] for one in found.listed("p")] == [4.0, 7.0]


@pytest.mark.parametrize(
    "rule",
    [
        {"regex": "(a+)+$"},
        {"regex": "["},
        {"or": "x"},
        {"and": []},
        {"contains": ""},
        {"equals": 7},
        {"new": "x"},
        {},
    ],
)
def test_a_rule_that_makes_no_sense_or_could_take_for_ever_fits_nothing(rule: Any):
    assert not fits(rule, "a" * 60 + "!")


def test_nonsense_in_the_published_file_is_left_out():
    nasty = [
        7,
        {"id": "p", "models": "x"},
        {
            "id": "ok",
            "models": [
                {"id": "a", "prices": {"input_mtok": float("inf"), "output_mtok": 1}, "context_window": -3},
                {"id": "b", "prices": {"input_mtok": -1}, "name": "\x1b[31mred\u202e"},
                {"id": "c", "prices": {"input_mtok": True}},
                {"id": "x" * 300},
                {"id": 7},
                None,
                {"id": "good", "prices": {"input_mtok": "1.5"}, "context_window": 10},
            ],
        },
    ]
    found = from_raw(nasty, TODAY, source="x").listed("ok")
    assert [one.model_id for one in found] == ["a", "b", "c", "good"]
    assert [one.usd[0] for one in found] == [0, 0, 0, 1.5]
    assert found[0].window == 0
    assert "\x1b" not in found[1].name
    for bad in ({}, [], "x", None, [{"id": "p"}]):
        with pytest.raises(ValueError):
            from_raw(bad, TODAY, source="x")


def test_no_decoded_json_raises_anything_but_value_error():
    chance = random.Random(7)

    def junk(depth: int) -> Any:
        kinds = [None, True, 3, -1.5, "x", "id", "models", "2026-01-01"]
        if depth and chance.random() < 0.7:
            if chance.random() < 0.5:
                return [junk(depth - 1) for _ in range(chance.randrange(4))]
            names = ["id", "models", "prices", "constraint", "start_date", "base", "match", "or", "input_mtok"]
            return {chance.choice(names): junk(depth - 1) for _ in range(chance.randrange(5))}
        return chance.choice(kinds)

    for _ in range(2000):
        try:
            found = from_raw(
                [{"id": "p", "models": [{"id": "m", "match": junk(4), "prices": junk(4)}]}, junk(6)], TODAY, source="x"
            )
        except ValueError:
            continue
        found.find("p", "anything")


# ------------------------------------------------------------------------------------------------------------- file


@dataclass
class Published:
    """A web server with the list on it."""

    url: str = ""
    body: bytes = b""
    etag: str = '"one"'
    status: int = 200
    asked: list[str] = field(default_factory=list)


@pytest.fixture
async def published() -> AsyncIterator[Published]:
    site = Published()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        site.asked.append(head)
        same = f"if-none-match: {site.etag}".lower() in head
        status, body = (304, b"") if same else (site.status, site.body)
        head_out = (
            f"HTTP/1.1 {status} X\r\nETag: {site.etag}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head_out.encode() + body)
        try:
            await writer.drain()
        except ConnectionError:
            pass  # the client had enough
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/data.json"
    yield site
    server.close()
    await asyncio.sleep(0)


class Wall:
    def __init__(self) -> None:
        self.now_s = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now_s


def a_list(price: float) -> bytes:
    return orjson.dumps([{"id": "openai", "models": [{"id": "m", "prices": {"input_mtok": price}}]}])


async def test_the_shipped_list_is_read_once_a_version_and_then_only_the_kept_one(tmp_path: Path, monkeypatch):
    first = Prices(tmp_path / "deep" / "prices.json")
    await asyncio.gather(first.load(), first.load())
    assert len(first.current) > 1000

    def never(*_: object) -> None:
        raise AssertionError("the shipped list was read again")

    monkeypatch.setattr("lsp_agent.providers.prices_file.shipped", never)
    again = Prices(tmp_path / "deep" / "prices.json")
    await again.load()
    assert again.current.find("anthropic", "claude-opus-5") == first.current.find("anthropic", "claude-opus-5")
    assert again.current.source == first.current.source
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"shape": 1}', b'{"shape":1,"package":"0.2.3","services":{"a":[[1]]}}']
)
async def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes):
    path = tmp_path / "prices.json"
    path.write_bytes(damage)
    prices = Prices(path)
    await prices.load()
    assert len(prices.current) > 1000


async def test_the_published_list_replaces_the_installed_one_and_is_asked_for_once_a_day(
    tmp_path: Path, published: Published
):
    wall = Wall()
    published.body = a_list(3.25)
    prices = Prices(tmp_path / "prices.json", url=published.url, now_s=wall)
    assert await prices.refresh() is True
    found = prices.current.find("openai", "m")
    assert found is not None
    assert found.usd[0] == 3.25
    assert await prices.refresh() is False
    assert len(published.asked) == 1
    # another process, a day later: nothing new
    wall.now_s += 90_000
    later = Prices(tmp_path / "prices.json", url=published.url, now_s=wall)
    assert await later.refresh() is False
    assert len(published.asked) == 2
    assert "if-none-match" in published.asked[1]
    assert later.current.find("openai", "m") == found
    assert await later.refresh() is False
    assert len(published.asked) == 2


@pytest.mark.parametrize("trouble", ["status", "garbage", "nobody", "huge", "redirect"])
async def test_what_goes_wrong_online_changes_nothing(tmp_path: Path, published: Published, trouble: str):
    published.body = b"<html>" if trouble == "garbage" else a_list(1)
    published.status = {"status": 500, "redirect": 302}.get(trouble, 200)
    if trouble == "huge":
        published.body = b"[" + b" " * (MAX_BYTES + 1) + b"]"
    url = "http://127.0.0.1:9/x" if trouble == "nobody" else published.url
    prices = Prices(tmp_path / "prices.json", url=url)
    assert await prices.refresh() is False
    assert len(prices.current) > 1000


# --------------------------------------------------------------------------------------------------------- registry


async def test_the_registry_knows_windows_and_prices_of_models_nobody_configured(tmp_path: Path):
    prices = Prices(tmp_path / "prices.json")
    await prices.load()
    blocks = (ProviderSettings("groq", "openai-compat", "https://api.groq.com/openai/v1", "$K"),)
    settings = ProvidersSettings(providers=blocks, probe_local=False)
    found = ProviderRegistry(lambda: settings, {"ANTHROPIC_API_KEY": "k"}, prices=prices)
    await found.prepare()
    known = found.resolve("anthropic/claude-opus-4-1")
    assert usd(known) == (15.0, 75.0, 1.5, 18.75)
    assert known.context_window == 200_000
    assert found.resolve("groq/llama-3.3-70b-versatile").input_usd_per_mtok > 0
    assert found.resolve("groq/unheard-of").context_window == 0
    assert usd(found.resolve("anthropic/claude-opus-5")) == (5, 25, 0.5, 6.25)
    await found.close()
