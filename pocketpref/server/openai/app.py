"""OpenAI-compatible HTTP server for a Pocket, on this machine only.

    POST /v1/chat/completions    answers, personalized; streamed on request
    GET  /v1/models              available models
    POST /v1/embeddings          vectors of the embedder that recall uses
    GET  /v1/openapi.json        the OpenAPI description

Models: ``pocketpref`` is the local model with personalization, ``pocketpref-plain`` the same
without, ``pocketpref-METHOD`` by another method than the default; a remote one is named like
a destination (``openai:MODEL@ADDRESS``), and requests to it pass the egress gate.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from pocketpref.egress.destination import Destination
from pocketpref.errors import DeniedError, InputError, NotFoundError, PocketprefError, RemoteError
from pocketpref.pocket import Pocket
from pocketpref.server.loopback import MOST_BODY_BYTES, Guard, Listener
from pocketpref.server.openai.schema import (
    LOCAL_MODELS,
    OWN,
    PLAIN,
    ChatRequest,
    Chunks,
    chat_request,
    completion,
    description,
    event,
    failure,
    model_named,
    parse_object,
    texts_to_embed,
)

# Queue the requests of many clients to one model; a slow reader delays nobody else.
#
# The model writes one answer at a time. Its pieces are queued as they come, for the client to read
# at its own speed: an answer is short, so the queue is bounded by it. An answer whose client has
# disconnected is cancelled at its next piece.

MOST_WAITING: Final = 64
"""Requests that may wait; further ones are refused with 503."""

_AT_ONCE_ELSEWHERE: Final = 4

Open = Callable[[], Generator[str, None, None]]


class BusyError(Exception):
    """Too many requests wait already."""


class UnexpectedError(Exception):
    """An answer failed unexpectedly; the message is only the type of the error."""


class _End:
    """Marks the end of a queue."""


class Replies:
    """The request queue, with one worker for the local model and a few for remote ones."""

    def __init__(self) -> None:
        self._here = ThreadPoolExecutor(1, thread_name_prefix="reply")
        self._elsewhere = ThreadPoolExecutor(_AT_ONCE_ELSEWHERE, thread_name_prefix="remote")
        self._waiting = 0
        self._broken_off: set[threading.Event] = set()

    async def pieces(self, begin: Open, *, local: bool) -> AsyncGenerator[str, None]:
        """The pieces of one answer, as they come.

        Args:
            begin: starts the answer; called in a worker thread.
            local: whether the local model answers.

        Raises:
            BusyError: too many wait.
            PocketprefError: the answer failed with it.
            UnexpectedError: the answer failed with another error.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | _End | BaseException] = asyncio.Queue()
        gone = threading.Event()

        def tell(what: Callable[..., None], *arguments: object) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(what, *arguments)

        def put(item: str | _End | BaseException) -> None:
            tell(queue.put_nowait, item)

        def served() -> None:
            self._waiting -= 1

        self._waiting += 1
        self._broken_off.add(gone)
        lane = self._here if local else self._elsewhere
        done = lane.submit(_write, begin, put, gone)
        done.add_done_callback(lambda _: tell(served))
        try:
            while not isinstance(item := await queue.get(), _End):
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            gone.set()
            self._broken_off.discard(gone)

    def close(self) -> None:
        """Cancel all replies, and wait for the workers."""
        for gone in list(self._broken_off):
            gone.set()
        for lane in (self._here, self._elsewhere):
            lane.shutdown(wait=True, cancel_futures=True)


def _write(
    begin: Open, put: Callable[[str | _End | BaseException], None], gone: threading.Event
) -> None:
    if gone.is_set():
        return
    try:
        with closing(begin()) as pieces:
            for piece in pieces:
                if gone.is_set():
                    return
                put(piece)
        put(_End())
    except PocketprefError as error:
        put(error)
    except Exception as error:  # noqa: BLE001 - the last net: a message may quote texts
        put(UnexpectedError(type(error).__name__))


_STATUS: Final[tuple[tuple[type[PocketprefError], int, str], ...]] = (
    (NotFoundError, 404, "invalid_request_error"),
    (InputError, 400, "invalid_request_error"),
    (DeniedError, 403, "permission_error"),
    (RemoteError, 502, "api_error"),
)


class _TooLargeError(Exception):
    """A request's body exceeds the limit."""


class ChatService:
    """The routes of one Pocket."""

    def __init__(self, pocket: Pocket) -> None:
        self._pocket = pocket
        self._replies = Replies()

    def application(self) -> Starlette:
        """Build the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", _answering(self.chat), methods=["POST"]),
                Route("/v1/embeddings", _answering(self.embeddings), methods=["POST"]),
                Route("/v1/models", _answering(self.models), methods=["GET"]),
                Route("/v1/openapi.json", _answering(self.described), methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Cancel all replies."""
        self._replies.close()

    async def described(self, request: Request) -> Response:
        """Return the OpenAPI description."""
        del request
        return JSONResponse(description())

    async def models(self, request: Request) -> Response:
        """List the local models, and remote ones with a grant."""
        del request
        grants = await run_in_threadpool(self._pocket.egress.live)
        allowed = (grant.destination for grant in grants)
        names = [OWN, PLAIN, *(str(place) for place in allowed if place.posted)]
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "pocketpref"}
            for name in names
        ]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(self, request: Request) -> Response:
        """Answer one chat request."""
        asked = chat_request(parse_object(await _body(request)))
        begin, local = self._begin(asked)
        pieces = self._replies.pieces(begin, local=local)
        if asked.stream:
            # Wait for the first piece, so that an immediate failure has a status of its own.
            first = await anext(pieces, None)
            return StreamingResponse(
                _stream(asked.model, first, pieces), media_type="text/event-stream"
            )
        written = []
        async for piece in pieces:
            if await request.is_disconnected():
                await pieces.aclose()
                raise ClientDisconnect
            written.append(piece)
        return JSONResponse(completion(asked.model, "".join(written)))

    def _begin(self, asked: ChatRequest) -> tuple[Callable[[], Generator[str, None, None]], bool]:
        pocket, sampling = self._pocket, asked.sampling
        turns = {"system": asked.system, "history": asked.history}
        if (method := LOCAL_MODELS.get(asked.model)) is not None:
            return lambda: _closable(
                pocket.reply(asked.prompt, stream=True, sampling=sampling, method=method, **turns)  # type: ignore[call-overload]  # the keywords are in a dict
            ), True
        destination = None
        with suppress(InputError):
            destination = Destination.parse(asked.model)
        if destination is None or not destination.posted:
            raise NotFoundError(
                f"there is no such model: ask for {OWN}, {PLAIN} or a destination such as "
                "openai:MODEL"
            )
        to = str(destination)
        return lambda: _closable(
            pocket.reply_remotely(asked.prompt, to=to, stream=True, sampling=sampling, **turns)  # type: ignore[call-overload]  # as above
        ), False

    async def embeddings(self, request: Request) -> Response:
        """Embed texts."""
        content = parse_object(await _body(request))
        texts = texts_to_embed(content)
        if model_named(content) != OWN:  # vectors of one embedder mean nothing to another's
            raise NotFoundError(f"there is no such model: vectors are made by {OWN}")
        vectors = np.asarray(await run_in_threadpool(self._pocket.embed, texts), "<f4")
        coded = content.get("encoding_format") == "base64"
        data = [
            {
                "object": "embedding",
                "index": place,
                "embedding": base64.b64encode(row.tobytes()).decode() if coded else row.tolist(),
            }
            for place, row in enumerate(vectors)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        answer = {"object": "list", "model": OWN, "data": data, "usage": usage}
        return JSONResponse(answer)


def serve(
    pocket: Pocket,
    port: int,
    token: str | None,
    *,
    ready: Callable[[int, Callable[[], None]], None] = lambda port, stop: None,
) -> None:
    """Serve until the program is told to stop.

    Args:
        pocket: the Pocket that answers.
        port: on 127.0.0.1; 0 for a free one.
        token: the token that clients send as their API key; None if they need none.
        ready: called with the port and a function that stops the server, when it accepts requests.

    Raises:
        StorageError: the port is not available.
    """
    with Listener(port) as listener:
        service = ChatService(pocket)
        try:
            listener.run(
                Guard(service.application(), listener.port, token),
                lambda stop: ready(listener.port, stop),
            )
        finally:
            service.close()


def _answering(
    handle: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler so that errors become answers in OpenAI's form."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:  # noqa: BLE001 - the last net: a message may quote texts
            return error_response(error)

    return answer


def error_response(error: Exception) -> Response:
    """Map an error to a status and an answer in OpenAI's form."""
    headers = {}
    match error:
        case PocketprefError():
            status, kind = _status(error)
            words = failure(error.words, kind)
        case BusyError():
            status, headers = 503, {"retry-after": "5"}
            words = failure("too many requests wait already", "overloaded_error")
        case _TooLargeError():
            status, headers = 413, {"connection": "close"}
            words = failure(f"a request has at most {MOST_BODY_BYTES:,} bytes")
        case ClientDisconnect():
            status, words = 499, failure("nobody is there any more")
        case UnexpectedError():
            status, words = 500, _unexpected(str(error))
        case _:
            status, words = 500, _unexpected(type(error).__name__)
    return JSONResponse(words, status, headers)


def _status(error: PocketprefError) -> tuple[int, str]:
    for kind, status, name in _STATUS:
        if isinstance(error, kind):
            return status, name
    return 500, "api_error"


def _unexpected(kind: str) -> dict[str, Any]:
    return failure(f"unexpected {kind} in pocketpref", "api_error")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise _TooLargeError
    return bytes(body)


def _closable(pieces: Any) -> Generator[str, None, None]:
    yield from pieces


async def _stream(
    model: str, first: str | None, rest: AsyncGenerator[str, None]
) -> AsyncIterator[bytes]:
    chunks = Chunks(model)
    yield chunks.first()
    try:
        if first is not None:
            yield chunks.piece(first)
        async for piece in rest:
            yield chunks.piece(piece)
    except PocketprefError as error:
        yield event(failure(error.words, _status(error)[1]))
    except UnexpectedError as error:
        yield event(_unexpected(str(error)))
    else:
        yield chunks.last()
    finally:
        await rest.aclose()
