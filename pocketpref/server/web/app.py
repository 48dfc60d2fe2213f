"""Routes and error messages of the preferences page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pocketpref.errors import EgressError, InputError, NotFoundError, PocketprefError
from pocketpref.server.loopback import Stop
from pocketpref.server.web import actions, views
from pocketpref.server.web.actions import Decide, Form, read_form
from pocketpref.server.web.session import Session
from pocketpref.server.web.views import Look, WebContext, asset, render

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its address, title, template and view."""

    path: str
    template: str
    title: str
    look: Look
    area: str


PAGES: Final = (
    Page("", "you.html", "You", views.you, "you"),
    Page("ask", "ask.html", "Ask me", views.ask, "you"),
    Page("choices", "choices.html", "Choices", views.choices, "choices"),
    Page("choices/{id}", "choice.html", "A choice", views.choice, "choices"),
    Page("choices/{id}/forget", "forget.html", "Forget a choice", views.choice, "choices"),
    Page("helps", "helps.html", "Does it help?", views.helps, "helps"),
    Page("leaving", "leaving.html", "What leaves", views.leaving, "leaving"),
    Page("leaving/{id}", "release.html", "What left", views.release, "leaving"),
    Page("machine", "machine.html", "Models and keys", views.machine, "machine"),
    Page("everything", "everything.html", "Forget everything", views.choices, "choices"),
)

DECISIONS: Final[Mapping[str, tuple[Decide, str]]] = {
    "summary": (actions.edit_summary, ""),
    "state": (actions.state, ""),
    "unstate": (actions.unstate, ""),
    "correct": (actions.correct, ""),
    "uncorrect": (actions.uncorrect, ""),
    "ask": (actions.answer_question, "ask"),
    "ask/skip": (actions.skip_question, "ask"),
    "forget": (actions.forget, "choices"),
    "everything": (actions.forget_everything, "everything"),
    "allow": (actions.allow, "leaving"),
    "revoke": (actions.revoke, "leaving"),
    "key": (actions.put_key, "machine"),
    "key/remove": (actions.remove_key, "machine"),
    "model": (actions.choose_model, "machine"),
}
"""The actions of forms, each with the page that is shown again if it fails."""

_AREAS: Final = (
    ("you", "", "You"),
    ("choices", "choices", "Choices"),
    ("helps", "helps", "Does it help?"),
    ("leaving", "leaving", "What leaves"),
    ("machine", "machine", "Models"),
)


class WebApp:
    """The routes of one session."""

    def __init__(self, context: WebContext, session: Session, entered: Stop, end: Stop) -> None:
        """Build the site.

        Args:
            context: the Pocket and the machine that it shows and changes.
            session: the visit it serves.
            entered: called when the person has signed in.
            end: ends the program.
        """
        self._context = context
        self._session = session
        self._entered = entered
        self._end = end
        self._by_path = {page.path: page for page in PAGES}

    def application(self) -> Starlette:
        """Build the ASGI application."""
        home = self._session.home
        return Starlette(
            routes=[
                Route("/", self.sign_in, methods=["GET"]),
                Route("/enter", self.enter, methods=["POST"]),
                Route("/style.css", _file("style.css", "text/css"), methods=["GET"]),
                Route("/icon.svg", _file("icon.svg", "image/svg+xml"), methods=["GET"]),
                Route(f"{home}/end", self._form_handler(self.end), methods=["POST"]),
                Route(f"{home}/preview", self._form_handler(self.preview), methods=["POST"]),
                *(
                    Route(
                        f"{home}/{path}", self._form_handler(self._action(path)), methods=["POST"]
                    )
                    for path in DECISIONS
                ),
                *(
                    Route(f"{home}/{page.path}", self._page_handler(page), methods=["GET"])
                    for page in PAGES
                ),
            ],
            exception_handlers={HTTPException: self.not_found},
        )

    # ------------------------------------------------------------------------------ the way in

    async def sign_in(self, request: Request) -> Response:
        """The form for the code."""
        del request
        return _html(render("sign_in.html", title="Sign in", problem=""))

    async def enter(self, request: Request) -> Response:
        """Exchange the code for the cookie."""
        try:
            shown = (await read_form(request))["code"]
        except (InputError, ClientDisconnect):
            shown = ""
        if not self._session.enter(shown):
            words = "That is not the code, or it was used already, or its time is over."
            return _html(render("sign_in.html", title="Sign in", problem=words), 403)
        self._entered()
        # Not a redirect: a form posted from a file is followed without the cookie.
        page = _html(render("entered.html", title="Signed in", home=f"{self._session.home}/"))
        page.headers["set-cookie"] = self._session.set_cookie
        return page

    # ------------------------------------------------------------------------------ pages

    def _page_handler(self, page: Page) -> Handler:
        async def answer(request: Request) -> Response:
            parts = {**request.path_params, "page": request.query_params.get("page", "1")}
            try:
                values = await run_in_threadpool(page.look, self._context, parts)
                return self._shown(page, values)
            except Exception as error:  # noqa: BLE001 - the last net: a message may quote texts
                return self._failed(error)

        return answer

    def _shown(
        self,
        page: Page,
        values: Mapping[str, Any],
        *,
        problem: str = "",
        drafts: Form | None = None,
        status: int = 200,
    ) -> Response:
        title = f"Problem: {page.title}" if problem else page.title
        body = self._rendered(
            page.template,
            title=title,
            area=page.area,
            problem=problem,
            drafts=dict(drafts or {}),  # as a Form, it would hold every field
            **values,
        )
        return _html(body, status)

    def _rendered(self, template: str, **values: Any) -> bytes:
        session = self._session
        return render(
            template,
            home=session.home,
            token=session.token,
            told=session.told(),
            areas=_AREAS,
            user=self._context.pocket.user,
            **values,
        )

    def _failed(self, error: Exception) -> Response:
        status, words = _in_words(error)
        body = self._rendered("failed.html", title="Problem", area="", problem=words)
        return _html(body, status)

    async def not_found(self, request: Request, error: Exception) -> Response:
        """Answer for an unknown address; without the session's home it reveals nothing."""
        assert isinstance(error, HTTPException)
        if not request.url.path.startswith(f"{self._session.home}/"):
            words = "This is not answered here."
            return _html(render("refused.html", title="Not here", words=words), error.status_code)
        body = self._rendered(
            "failed.html", title="Not here", area="", problem="There is no such page."
        )
        return _html(body, error.status_code)

    # ------------------------------------------------------------------------------ forms

    def _form_handler(self, handle: Callable[[Form], Awaitable[Response]]) -> Handler:
        async def answer(request: Request) -> Response:
            try:
                form = await read_form(request)
                if not self._session.wrote(form["token"]):
                    raise InputError("this form was not made for this visit; reload the page")
                return await handle(form)
            except Exception as error:  # noqa: BLE001 - the last net: a message may quote texts
                return self._failed(error)

        return answer

    def _action(self, path: str) -> Callable[[Form], Awaitable[Response]]:
        decide, back = DECISIONS[path]

        async def do(form: Form) -> Response:
            try:
                done = await run_in_threadpool(decide, self._context, form)
            except PocketprefError as error:
                return await self._again(self._by_path[back], form, error)
            self._session.tell(done.words)
            return RedirectResponse(f"{self._session.home}/{done.where}", 303)

        return do

    async def _again(self, page: Page, form: Form, error: PocketprefError) -> Response:
        """Show the form's page again, with the problem and what was typed."""
        status, words = _in_words(error)
        values = await run_in_threadpool(page.look, self._context, {})
        return self._shown(page, values, problem=words, drafts=form, status=status)

    async def preview(self, form: Form) -> Response:
        """Show what a prompt would send: at once, for its text is stored nowhere."""
        page = self._by_path["leaving"]
        try:
            values = await run_in_threadpool(actions.preview, self._context, form)
        except PocketprefError as error:
            return await self._again(page, form, error)
        return self._shown(page, values, drafts=form)

    async def end(self, form: Form) -> Response:
        """End the visit at once, and the program after this answer."""
        del form
        self._session.leave()
        self._end()
        return _html(render("refused.html", title="Closed", words="The page is closed."))


def _in_words(error: Exception) -> tuple[int, str]:
    match error:
        case NotFoundError():
            status = 404
        case InputError():
            status = 400
        case EgressError():
            status = 403
        case _:
            status = 500
    if isinstance(error, PocketprefError):
        return status, error.words[:1].upper() + error.words[1:]
    return status, f"Unexpected {type(error).__name__} in pocketpref."


def _html(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="text/html")


def _file(name: str, kind: str) -> Handler:
    async def answer(request: Request) -> Response:
        del request
        return Response(asset(name), media_type=kind)

    return answer
