# ruff: noqa: E501  # tables read better in few lines
"""Which addresses are reached: spellings, names, ports, redirects, and what a name means a moment later."""

import asyncio
import itertools

import pytest

from lsp_agent.web.addresses import parse_address, refusal_of
from lsp_agent.web.fetching import Fetcher, FetchFailed, Limits, RedirectStopped
from lsp_agent.web.guard import Domains, Guard
from lsp_agent.web.resolver import SystemResolver
from lsp_agent.web.urls import UrlRefused, parse_url
from tests.web.site import Names, Site, answer, make, redirect

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[3fff::1]",
    "[100::1]",
]
SPELLED = [
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "00.0.0.0",
    "0",
    "3232235777",
    "0xa9fea9fe",
    "169.254.43518",
    "127.0.0.1.",
    "127.1.",
    "1.2.3.4.5",
    "256.1.1.1",
    "0x",
    "1.0x7f",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "[::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1",
    "[127.0.0.1]",
    "[::1]x",
    "127.0.0.1%2f.example.com",
]
NAMED = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "foo.localhost",
    "printer.local",
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "router.lan",
    "intranet",
    "nas.home.arpa",
    "db.corp",
    "x.localdomain",
    "ⓛocalhost",
    "ｌｏｃａｌｈｏｓｔ",
]
MISREAD = [
    "http://good.example@127.0.0.1/", "http://user:pass@good.example/", "http://good.example#@127.0.0.1/x@",
    "http:127.0.0.1/", "http:///127.0.0.1/", "//good.example/", "http://good.example\\@127.0.0.1/", "http://good.example\t.evil/",
    "http://good.example\n/", "http://good.example\0.evil.example/", "http://go\u200bod.example/", "http://good.example:80:80/",
    "http://good.example:0/", "http://good.example:99999/", "http://good.example:8x/", "http://good.example:٨٠/", "http:// good.example/",
    "http://good..example/", "http://-/", "http://.example/", "http://a%00b.example/", "http://exa mple.org/", "http://[::1]@good.example/",
    "http://good.example:22/", "http://good.example:6379/", "ftp://good.example/", "file:///etc/passwd", "data:text/html,x", "gopher://good.example/",
    "javascript:alert(1)", "ws://good.example/", "unix:///run/docker.sock", "blob:https://good.example/1", "", "good.example", "http://" + "a" * 300 + ".example/",
]  # fmt: skip
GOOD = {
    "https://good.example": "https://good.example/",
    "HTTPS://GOOD.Example:443/A?b=c#frag": "https://good.example/A?b=c",
    "http://good.example./x": "http://good.example/x",
    "https://bücher.example/ü?q=ö": "https://xn--bcher-kva.example/%C3%BC?q=%C3%B6",
    "https://good.example/docs/../up/./x": "https://good.example/up/x",
    "https://good.example/docs/%2e%2E/up": "https://good.example/up",
    "https://good.example/a/..": "https://good.example/",
    "https://good.example?x": "https://good.example/?x",
    "https://[2606:4700::1111]/": "https://[2606:4700::1111]/",
    "http://8.8.8.8/": "http://8.8.8.8/",
}


def refused(url: str) -> bool:
    try:
        Guard().check(parse_url(url))
    except UrlRefused:
        return True
    return False


def test_EX_04_EX_05_no_spelling_of_a_private_address_passes():
    urls = [f"http://{host}/" for host in (*PRIVATE, *SPELLED, *NAMED)] + MISREAD
    assert [url for url in urls if not refused(url) and "#" not in url] == []
    assert parse_url("http://good.example#@127.0.0.1/x@").host == "good.example"
    print(f"\nspellings refused: {len(urls) - 1} of {len(urls) - 1}")
    assert len(urls) >= 60


@pytest.mark.parametrize(("written", "canonical"), GOOD.items())
def test_EX_08_there_is_one_way_to_write_a_url(written, canonical):
    target = parse_url(written)
    assert target.url == canonical
    assert parse_url(target.url) == target
    Guard().check(target)


def test_EX_18_only_http_and_https_are_read():
    for scheme in ("file", "data", "ftp", "gopher", "javascript", "ws", "jar", "view-source", "blob"):
        assert refused(f"{scheme}://good.example/x")
        assert refused(f"{scheme}:good.example/x")


async def test_EX_04_a_name_with_any_private_address_is_not_connected_to(site):
    for address in (
        "127.0.0.1",
        "10.1.1.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "fd00::1",
        "224.0.0.1",
        "64:ff9b::7f00:1",
    ):
        guard = Guard(resolve=Names(a_example=["93.184.216.34", address]), endpoints=[("a.example", site.port)])
        with pytest.raises(UrlRefused, match="not a public"):
            await Fetcher(guard).get(parse_url(f"http://a.example:{site.port}/"))
    assert site.connections == 0


def test_public_addresses_pass():
    for text in ("8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "172.32.0.1", "100.128.0.1"):
        assert refusal_of(parse_address(text)) is None


async def test_EX_07_what_was_checked_is_what_is_connected_to(tmp_path, site):
    """A name that is public when it is asked about and private a moment later is resolved once, and only once."""
    answers = itertools.cycle(["127.0.0.1", "10.0.0.1"])
    names = Names(site_example=lambda: next(answers))
    web = make(tmp_path, site, names=names)
    site.routes["/"] = answer("hello")
    page = await web.fetcher.get(parse_url(f"http://site.example:{site.port}/"))
    assert page.body == b"hello"
    assert names.asked == ["site.example"]
    assert site.heard[0].headers["host"] == f"site.example:{site.port}"
    rebinding = itertools.chain(["93.184.216.34"], itertools.repeat("127.0.0.1"))
    guard = Guard(resolve=Names(a_example=lambda: next(rebinding)), endpoints=[("a.example", site.port)])
    assert await guard.addresses("a.example", site.port) == ["93.184.216.34"]
    with pytest.raises(UrlRefused, match="not a public"):
        await guard.addresses("a.example", site.port)


async def test_EX_06_redirects_to_private_places_and_long_chains_end(tmp_path, site):
    web = make(tmp_path, site)
    base = f"http://site.example:{site.port}"
    asked = []

    async def yes(target):
        asked.append(target.url)
        return True

    for to in ("http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest", "//localhost/", "http://0x7f.1/",
               "file:///etc/passwd", "ftp://site.example/", f"http://localhost:{site.port}/", "http://u:p@site.example/"):  # fmt: skip
        site.routes["/go"] = redirect(to)
        with pytest.raises(UrlRefused):
            await web.fetcher.get(parse_url(base + "/go"), new_host=yes)
    assert asked == []
    for number in range(20):
        site.routes[f"/{number}"] = redirect(f"/{number + 1}")
    site.heard.clear()
    with pytest.raises(FetchFailed, match="more than 5"):
        await web.fetcher.get(parse_url(base + "/0"), new_host=yes)
    assert len(site.heard) == 6
    site.routes["/17"], site.routes["/18"] = redirect("/18", "308 Permanent Redirect"), answer("end")
    page = await web.fetcher.get(parse_url(base + "/17"))
    assert (page.body, page.hops) == (b"end", (base + "/17",))


async def test_EX_06_another_host_is_asked_about_first(tmp_path, site, other):
    web = make(tmp_path, site, other, hosts=("site.example", "other.example"))
    site.routes["/"] = redirect(f"http://other.example:{other.port}/x")
    other.routes["/x"] = answer("there")
    with pytest.raises(RedirectStopped) as stopped:
        await web.fetcher.get(parse_url(f"http://site.example:{site.port}/"))
    assert stopped.value.target.host == "other.example"
    assert other.connections == 0


async def test_the_time_of_a_question_does_not_count(tmp_path, site, other):
    web = make(tmp_path, site, other, hosts=("site.example", "other.example"))
    site.routes["/"] = redirect(f"http://other.example:{other.port}/x")
    other.routes["/x"] = answer("there")
    loop = asyncio.get_running_loop()

    async def slow_yes(target):
        done = loop.create_future()
        loop.call_later(0.6, done.set_result, True)
        return await done

    page = await web.fetcher.get(
        parse_url(f"http://site.example:{site.port}/"), limits=Limits(total_s=0.5), new_host=slow_yes
    )
    assert page.body == b"there"


@pytest.mark.parametrize(
    ("entry", "host", "meant"),
    [
        ("docs.python.org", "docs.python.org", True), ("docs.python.org", "docs.python.org.evil.com", False),
        ("docs.python.org", "evil-docs.python.org", False), ("docs.python.org", "a.docs.python.org", False),
        ("*.python.org", "docs.python.org", True), ("*.python.org", "a.b.python.org", True),
        ("*.python.org", "python.org", False), ("*.python.org", "evilpython.org", False),
        ("*.python.org", "python.org.evil.com", False), ("DOCS.Python.ORG.", "docs.python.org", True),
        ("bücher.example", "xn--bcher-kva.example", True), ("python.org", "xn--pythn-6ta.org", False), ("*", "any.example", True),
        ("8.8.8.8", "8.8.8.8", True), ("2606:4700::1111", "2606:4700::1111", True),
    ],
)  # fmt: skip
def test_EX_08_domains_are_matched_by_whole_labels(entry, host, meant):
    assert Domains([entry]).covers(host) is meant


def test_EX_08_what_is_denied_is_denied_with_everything_below_it():
    guard = Guard(deny=["evil.example"], allow=["good.example", "*.docs.example"])
    for url, passes in {
        "https://good.example/": True, "https://a.docs.example/": True, "https://docs.example/": False, "https://x.example/": False,
        "https://evil.example/": False, "https://a.evil.example/": False, "https://good.example.evil.example/": False,
        "https://GOOD.example./": True, "https://good.example:443/": True, "https://good.example:8443/": False,
    }.items():  # fmt: skip
        try:
            guard.check(parse_url(url))
            assert passes, url
        except UrlRefused:
            assert not passes, url
    for bad in ("a\0.example", "a b", "a/b", "*.*.x"):
        with pytest.raises(UrlRefused):
            Domains([bad])


def test_a_port_is_reached_when_the_user_named_it():
    guard = Guard(endpoints=[("good.example", 8443)])
    guard.check(parse_url("https://good.example:8443/"))
    with pytest.raises(UrlRefused):
        guard.check(parse_url("https://other.example:8443/"))


async def test_names_that_are_unknown_silent_or_odd_are_refused():
    with pytest.raises(UrlRefused, match="unknown"):
        await Guard(resolve=Names()).addresses("a.example", 443)
    with pytest.raises(UrlRefused, match="no address"):
        await Guard(resolve=Names(a_example=[])).addresses("a.example", 443)
    with pytest.raises(UrlRefused, match="cannot be read"):
        await Guard(resolve=Names(a_example="nonsense")).addresses("a.example", 443)

    async def silent(host, port):
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(UrlRefused, match="not resolved"):
        await Guard(resolve=silent, resolve_s=0.05).addresses("a.example", 443)


async def test_the_systems_resolver_answers_and_is_bounded():
    assert "127.0.0.1" in await SystemResolver()("localhost", 80)
    with pytest.raises(OSError):
        await SystemResolver()("no-such-name.invalid", 80)
    with pytest.raises(OSError, match="too many"):
        await SystemResolver(max_lookups=0)("localhost", 80)


async def test_a_site_is_a_site(site: Site, tmp_path):
    site.routes["/"] = answer("x")
    assert (await make(tmp_path, site).fetcher.get(parse_url(f"http://site.example:{site.port}/"))).status == 200
