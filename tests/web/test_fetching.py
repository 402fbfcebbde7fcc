# ruff: noqa: E501  # tables read better in few lines
"""What comes back is bounded in bytes, time and kind, and nothing of the user's goes out."""

import asyncio
import gzip
import ssl
import time
import zlib

import pytest

from lsp_agent.web.decoding import UnknownEncoding, Unpacker, decode_text
from lsp_agent.web.fetching import Fetcher, FetchFailed, Limits
from lsp_agent.web.guard import Guard
from lsp_agent.web.urls import parse_url
from tests.shell.conftest import until
from tests.web.site import Names, Site, answer, make, zipped

BOMB = gzip.compress(b"\0" * (200 << 20), 9)


def at(site: Site, path: str = "/"):
    return parse_url(f"http://site.example:{site.port}{path}")


async def endless(heard, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def drops(heard, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def many_headers(heard, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-A: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def silent(heard, writer):
    await heard.reader.read()


async def test_EX_17_bombs_and_endless_bodies_are_cut(tmp_path, site):
    fetcher = make(tmp_path, site).fetcher
    site.routes |= {"/bomb": answer(BOMB, Content_Encoding="gzip"), "/endless": endless,
                    "/twice": answer(gzip.compress(BOMB), Content_Encoding="gzip, gzip"), "/headers": many_headers}  # fmt: skip
    started = time.monotonic()
    for path in ("/bomb", "/endless"):
        page = await fetcher.get(at(site, path))
        assert (len(page.body), page.truncated) == (5 << 20, True)
        with pytest.raises(FetchFailed, match="larger"):
            await fetcher.get(at(site, path), limits=Limits(whole=True))
    for path in ("/twice", "/headers"):
        with pytest.raises(FetchFailed):
            await fetcher.get(at(site, path))
    assert time.monotonic() - started < 10


async def test_EX_17_slow_and_silent_servers_are_left_in_time(tmp_path, site):
    fetcher = make(tmp_path, site).fetcher
    site.routes |= {"/drops": drops, "/silent": silent}
    for path in ("/drops", "/silent"):
        started = time.monotonic()
        with pytest.raises(FetchFailed, match=r"in 0\.3 seconds|stopped sending"):
            await fetcher.get(at(site, path), limits=Limits(total_s=0.3))
        assert time.monotonic() - started < 1.5
    await until(lambda: site.closed == site.connections)


async def test_cancelling_closes_the_connection_at_once(tmp_path, site):
    site.routes["/"] = drops
    task = asyncio.create_task(make(tmp_path, site).fetcher.get(at(site)))
    await until(lambda: site.heard)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 0.2
    await until(lambda: site.closed == 1)


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("text/html", True), ("text/plain; charset=utf-8", True), ("application/json", True), ("application/ld+json", True),
        ("application/rss+xml", True), ("image/svg+xml", True), ("", True), ("application/pdf", False), ("application/zip", False),
        ("image/png", False), ("application/octet-stream", False), ("multipart/form-data", False), ("video/mp4", False), ("font/woff2", False),
    ],
)  # fmt: skip
async def test_EX_18_only_text_is_read(tmp_path, site, kind, read):
    site.routes["/"] = answer(b"abc", kind=kind)
    fetching = make(tmp_path, site).fetcher.get(at(site))
    if read:
        assert (await fetching).body == b"abc"
    else:
        with pytest.raises(FetchFailed, match="only text"):
            await fetching


@pytest.mark.parametrize("body", [b"%PDF-1.7 x", b"PK\x03\x04zip", b"\x7fELF", b"\x89PNG\r\n", b"\x1f\x8b\x08"])
async def test_EX_18_content_that_lies_about_its_type_is_refused(tmp_path, site, body):
    site.routes["/"] = answer(body, kind="text/html")
    with pytest.raises(FetchFailed, match="binary"):
        await make(tmp_path, site).fetcher.get(at(site))


async def test_EX_09_nothing_of_the_user_goes_along(tmp_path, site, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine site.example login canary password canary\n")
    for name, value in {"HOME": str(home), "HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1",
                        "NETRC": str(home / ".netrc"), "http_proxy": "http://127.0.0.1:1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    web = make(tmp_path, site)
    site.routes["/"] = answer("x", Set_Cookie="id=canary; Path=/", WWW_Authenticate="Basic")
    for _again in range(2):
        await web.fetcher.get(at(site, "/?a=b"))
    assert [heard.method for heard in site.heard] == ["GET", "GET"]
    for heard in site.heard:
        assert sorted(heard.headers) == [
            "accept",
            "accept-encoding",
            "accept-language",
            "connection",
            "host",
            "user-agent",
        ]


async def test_a_service_that_breaks_off_or_speaks_nonsense_is_an_error(tmp_path, site):
    fetcher = make(tmp_path, site).fetcher
    site.routes |= {"/cut": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: text/plain\r\n\r\nabc", "/odd": b"hello\r\n\r\n",
                    "/none": b"", "/bad": answer(b"not gzip at all", Content_Encoding="gzip"), "/br": answer(b"x", Content_Encoding="br")}  # fmt: skip
    for path in ("/cut", "/odd", "/none", "/bad", "/br"):
        with pytest.raises(FetchFailed):
            await fetcher.get(at(site, path))
    gone = at(site)
    await site.stop()
    with pytest.raises(FetchFailed, match="no connection"):
        await fetcher.get(gone)


@pytest.fixture
def certificate(tmp_path):
    """A certificate for site.example, and its authority."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("site.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path / "site.pem"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_tls_is_verified_against_the_name_not_the_address(tmp_path, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site = await Site({"/": answer("over tls")}).start(ssl=context)
    try:
        names = Names(site_example="127.0.0.1", wrong_example="127.0.0.1")
        guard = Guard(resolve=names, allow_private=[("site.example", site.port), ("wrong.example", site.port)])
        fetcher = Fetcher(guard, certificates=lambda: ssl.create_default_context(cafile=certificate))
        page = await fetcher.get(parse_url(f"https://site.example:{site.port}/"))
        assert page.body == b"over tls"
        with pytest.raises(FetchFailed, match="certificate"):
            await fetcher.get(parse_url(f"https://wrong.example:{site.port}/"))
        with pytest.raises(FetchFailed, match="certificate"):
            await Fetcher(guard).get(parse_url(f"https://site.example:{site.port}/"))
    finally:
        await site.stop()


def test_packed_content_is_unpacked_whatever_its_pieces():
    text = b"hello world " * 1000
    compressor = zlib.compressobj(wbits=-15)
    packed = {"gzip": gzip.compress(text), "x-gzip": gzip.compress(text[:5000]) + gzip.compress(text[5000:]), "": text,
              "deflate": zlib.compress(text), "Deflate": compressor.compress(text) + compressor.flush(), "identity": text}  # fmt: skip
    for name, data in packed.items():
        for size in (1, 7, 1000, len(data)):
            unpacker = Unpacker(name, 1 << 20)
            pieces = [unpacker.feed(data[start : start + size]) for start in range(0, len(data), size)]
            assert b"".join(pieces) == text, (name, size)
        assert len(Unpacker(name, 100).feed(data)) == 100
    assert Unpacker("gzip", 1 << 20).feed(gzip.compress(text) + b"rubbish") == text
    for name in ("br", "zstd", "gzip, deflate"):
        with pytest.raises(UnknownEncoding):
            Unpacker(name, 10)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        ("grün".encode(), None, "grün"), ("grün".encode("latin-1"), "iso-8859-1", "grün"), (b"\x93hi\x94", "iso-8859-1", "“hi”"),
        ("grün".encode("utf-16"), None, "grün"), (b"\xef\xbb\xbfx", "latin-1", "x"), (b"\xff", None, "\ufffd"),
        ("<meta charset='windows-1251'>да".encode("cp1251"), None, "<meta charset='windows-1251'>да"), ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        (b"aGk=", "base64", "aGk="), (b"+ADw-script", "utf-7", "+ADw-script"), (b"x", "no-such-charset", "x"),
    ],
)  # fmt: skip
def test_characters_are_read_as_the_page_says(body, charset, text):
    assert decode_text(body, charset, html=True) == text


async def test_zipped_pages_arrive_whole(tmp_path, site):
    site.routes["/"] = zipped(b"<p>" + b"word " * 50_000)
    assert len((await make(tmp_path, site).fetcher.get(at(site))).body) == 250_003
