"""What every request has to pass: its token, where it comes from, and how large it may be."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from fastapi import HTTPException
from fastapi.responses import JSONResponse

LOCAL = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """An ASGI application around another one. token: that callers must have, None: they must be of this machine.

    Without a token a page of another site must not reach the service through the browser of whoever sits here: requests
    have to name this machine as their host, and come from no other origin.
    """

    def __init__(self, app: Any, token: str | None, most_bytes: int):
        self._app, self._most = app, most_bytes
        self._token = None if token is None else _digest(token.encode())

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return

        async def send_with_headers(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope["path"], headers)
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        await self._app(scope, self._counted(receive), send_with_headers)

    def _refused(self, path: str, headers: dict[bytes, str]) -> JSONResponse | None:
        """The answer to what may not pass."""
        if self._token is None:
            host = headers.get(b"host", "")
            if host.rpartition(":")[0] not in LOCAL and host not in LOCAL:
                return _answer(403, f"Host: {host!r:.60} is not this machine; ask for 127.0.0.1, or set a token")
            origin = headers.get(b"origin")
            if origin is not None and origin.partition("://")[2] != host:
                return _answer(
                    403, f"Origin: {origin!r:.60} is another site; use the service's own page, or set a token"
                )
        elif path.startswith("/v1") and not self._knows_token(headers.get(b"authorization", "")):
            words = "Authorization: it is missing or wrong; send Bearer and the service's token"
            return _answer(401, words, {"WWW-Authenticate": "Bearer"})
        length = headers.get(b"content-length", "0")
        if not length.isdigit() or int(length) > self._most:
            return _answer(413, self._too_large(), {"Connection": "close"})
        return None

    def _knows_token(self, authorization: str) -> bool:
        """Compared in a time that says nothing of where they differ, nor of the token's length."""
        scheme, _, given = authorization.partition(" ")
        same = hmac.compare_digest(_digest(given.strip().encode("latin-1")), self._token)
        return same and scheme.lower() == "bearer"

    def _counted(self, receive: Any) -> Any:
        """For bodies that do not say their length."""
        count = 0

        async def counted() -> dict[str, Any]:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self._most:
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the body is larger than {self._most} bytes; send smaller or fewer images, or raise --most-megabytes"


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _answer(status: int, words: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": words}, status, headers)
