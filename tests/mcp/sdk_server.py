"""A server made with the SDK's own server side: `sdk_server.py stdio | http PORT | sse PORT | login PORT`.

`login` is streamable HTTP behind a small OAuth 2.1 server in the same process: metadata, registration, authorization
(the user always agrees), tokens with PKCE. `/log` tells what it was asked.
"""

import base64
import hashlib
import json
import sys
from urllib.parse import urlencode

import uvicorn
from mcp.server.mcpserver import Image, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
server = MCPServer("sdk", instructions="Add with add.")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


@server.tool()
def picture() -> Image:
    """Draws."""
    return Image(data=PNG, format="png")


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("it went wrong")


@server.resource("note://one")
def note() -> str:
    """A note."""
    return "what the note says"


@server.prompt()
def review(code: str) -> str:
    """Asks for a review."""
    return f"Review this: {code}"


class Login:
    """The authorization server, and the door in front of `/mcp`."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.codes: dict[str, tuple[str, str]] = {}
        self.tokens: set[str] = set()
        self.refresh: set[str] = set()
        self.log: list[str] = []
        self.evil = ""

    def door(self, app):
        async def guarded(scope, receive, send):
            if scope["type"] != "http" or not scope["path"].startswith("/mcp"):
                return await app(scope, receive, send)
            request = Request(scope)
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token in self.tokens:
                return await app(scope, receive, send)
            where = self.evil or f"{self.base}/.well-known/oauth-protected-resource/mcp"
            headers = {"WWW-Authenticate": f'Bearer resource_metadata="{where}"'}
            return await Response("no", 401, headers)(scope, receive, send)

        return guarded

    async def resource(self, request: Request) -> Response:
        self.log.append("resource")
        return JSONResponse({"resource": f"{self.base}/mcp", "authorization_servers": [f"{self.base}/"]})

    async def metadata(self, request: Request) -> Response:
        self.log.append("metadata")
        return JSONResponse(
            {
                "issuer": f"{self.base}/",
                "authorization_endpoint": f"{self.base}/authorize",
                "token_endpoint": f"{self.base}/token",
                "registration_endpoint": f"{self.base}/register",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            }
        )

    async def register(self, request: Request) -> Response:
        self.log.append("register")
        return JSONResponse({**await request.json(), "client_id": "client-1"}, 201)

    async def authorize(self, request: Request) -> Response:
        asked = request.query_params
        self.log.append(f"authorize resource={asked.get('resource')}")
        code = f"code-{len(self.codes)}"
        self.codes[code] = (asked["code_challenge"], asked["redirect_uri"])
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{asked['redirect_uri']}?{back}", 302)

    async def token(self, request: Request) -> Response:
        form = await request.form()
        self.log.append(f"token {form['grant_type']} resource={form.get('resource')}")
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refresh:
                return JSONResponse({"error": "invalid_grant"}, 400)
        else:
            challenge, redirect = self.codes.pop(str(form["code"]))
            digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge or form["redirect_uri"] != redirect:
                return JSONResponse({"error": "invalid_grant"}, 400)
        number = len(self.log)
        self.tokens.add(f"secret-access-{number}")
        self.refresh.add(f"secret-refresh-{number}")
        return JSONResponse(
            {
                "access_token": f"secret-access-{number}",
                "token_type": "Bearer",
                "expires_in": 3600,
                "refresh_token": f"secret-refresh-{number}",
            }
        )

    async def control(self, request: Request) -> Response:
        """`revoke` forgets all tokens; `evil=URL` is named as the place of the metadata from now on."""
        if "revoke" in request.query_params:
            self.tokens.clear()
            self.refresh.clear()
        self.evil = request.query_params.get("evil", self.evil)
        return JSONResponse(self.log)


def login_app(port: int):
    login = Login(f"http://127.0.0.1:{port}")
    inner = server.streamable_http_app()
    routes = [
        Route("/.well-known/oauth-protected-resource/mcp", login.resource),
        Route("/.well-known/oauth-authorization-server", login.metadata),
        Route("/register", login.register, methods=["POST"]),
        Route("/authorize", login.authorize),
        Route("/token", login.token, methods=["POST"]),
        Route("/log", login.control),
        Mount("/", app=inner),
    ]
    return login.door(Starlette(routes=routes, lifespan=inner.router.lifespan_context))


def main() -> None:
    kind = sys.argv[1]
    if kind == "stdio":
        server.run("stdio")
        return
    port = int(sys.argv[2])
    apps = {"http": server.streamable_http_app, "sse": server.sse_app}
    app = login_app(port) if kind == "login" else apps[kind]()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="warning", ws="none", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    sys.stderr.write(json.dumps({"kind": sys.argv[1]}) + "\n")
    main()
