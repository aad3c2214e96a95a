"""The dashboard's files: whom they are given to, and what a browser is told to let them do."""

import re
from html.parser import HTMLParser

import pytest

from job_service.telemetry.events import EVENTS
from job_service.telemetry.notices import NOTABLE
from job_service.web.dashboard.pages import FILES
from job_service.web.guards import Access
from tests.web.api import Api, check_problem, taking
from tests.web.conftest import MakeApi

WORD = "s3cret-t0ken"
PATHS = ["/", *(f"/dashboard/{name}" for name in sorted(FILES))]
STYLES = {"style.css", "overview.css", "jobs.css", "job.css", "dialogs.css"}
CONTENT_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


class _Page(HTMLParser):
    """The attributes in a page, and what is between its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.inline: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize("path", PATHS)
async def test_each_file_is_what_it_is_said_to_be(api: Api, path: str) -> None:
    """The page is HTML, and a file is what its name says; none is guessed at."""
    answer = await api.ask(path)
    assert answer.status == 200
    kind = path.rpartition(".")[2]
    assert answer.headers["Content-Type"] == CONTENT_TYPES.get(kind, "text/html; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", PATHS)
async def test_it_may_do_nothing_but_talk_to_its_service(api: Api, path: str) -> None:
    """Scripts, style and calls are of this service only; no inline code, no eval, no frame."""
    policy = (await api.ask(path)).headers["Content-Security-Policy"].split("; ")
    assert policy == [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
        *("img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"),
        "require-trusted-types-for 'script'",
    ]


async def test_the_page_keeps_to_its_policy(api: Api) -> None:
    """It has no inline script, style or handler, and loads nothing but its own files."""
    page = _Page((await api.ask("/")).body.decode())
    assert page.inline == []
    for tag, name, value in page.attributes:
        assert name != "style"
        assert not name.startswith("on")
        if name == "src" or (tag == "link" and name == "href"):
            assert value.removeprefix("dashboard/") in FILES
    for name in STYLES:
        style = FILES[name].body.decode()
        assert "url(" not in style
        assert "@import" not in style


async def test_scripts_import_only_files_that_there_are() -> None:
    """Every import names a file of the dashboard, and every file is used by the page or another."""
    used = {"app.js", "docs.js", "icon.svg", *STYLES}
    for name, file in FILES.items():
        if name.endswith(".js"):
            imported = re.findall(r'from "(.*?)"', file.body.decode())
            assert all(path.startswith("./") for path in imported)
            used |= {path.removeprefix("./") for path in imported}
    assert used == FILES.keys()


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_a_file_need_not_load_it_again(api: Api, path: str) -> None:
    """The answer has an ETag, which is asked after each time; who sends it back gets 304."""
    first = await api.ask(path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = await api.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    other = await api.ask(path, headers={"If-None-Match": '"another"'})
    assert (other.status, other.body) == (200, first.body)


@pytest.mark.parametrize("path", PATHS)
async def test_it_needs_no_token(make_api: MakeApi, path: str) -> None:
    """Not even if there are tokens: the files hold no data, and the page asks for one itself."""
    guarded = make_api(Access(tokens=taking(WORD)))
    answer = await guarded.ask(path)
    assert answer.status == 200
    assert answer.body == (await make_api().ask(path)).body


@pytest.mark.parametrize("path", ["/dashboard", "/Dashboard/app.js", "/jobs", "/docs/"])
async def test_what_is_beside_it_does(make_api: MakeApi, path: str) -> None:
    """Paths that only look like it are guarded as ever."""
    check_problem(await make_api(Access(tokens=taking(WORD))).ask(path), 401)


@pytest.mark.parametrize(
    "path",
    [
        *("/dashboard/", "/dashboard/index.html", "/dashboard/pages.py", "/dashboard/../jobs"),
        *("/dashboard/..%2Fjobs", "/dashboard/%2e%2e/jobs", "/dashboard/app.js/", "/dashboard/%00"),
    ],
)
async def test_no_other_file_can_be_had(make_api: MakeApi, path: str) -> None:
    """Nothing but its own files is below the dashboard's path, by whatever name."""
    check_problem(await make_api(Access(tokens=taking(WORD))).ask(path), 404)


async def test_it_is_for_the_same_hosts_as_all_else(make_api: MakeApi) -> None:
    """A page that made its own name point here gets no dashboard either."""
    api = make_api(Access(hosts=frozenset({"localhost"})))
    check_problem(await api.ask("/", headers={"Host": "evil.example"}), 421)
    assert (await api.ask("/", headers={"Host": "localhost:8080"})).status == 200


def test_each_notice_has_its_words() -> None:
    """Whatever the service tells as out of the ordinary, the page says in words of its own."""
    script = FILES["notices.js"].body.decode()
    names = {name for name, kind in EVENTS.items() if kind in NOTABLE}
    assert names == set(re.findall(r"^  (\w+): \(e\) =>", script, re.MULTILINE))
