"""The API describes itself, completely and truly, in a document and on a page."""

import re
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from html.parser import HTMLParser
from typing import Annotated, Any, Literal, TypedDict
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
import schemathesis
import trio
import trio.testing

from job_service import errors
from job_service.jobs.registration.registry import Registry
from job_service.web.error_refusals import OF_ERRORS
from job_service.web.guards import Access, needs_token
from job_service.web.openapi import document as document_module
from job_service.web.openapi import headers
from job_service.web.openapi.document import build_document
from job_service.web.openapi.operations import OPERATIONS
from tests.web.api import JSON, Answer, Api, check_problem, taking
from tests.web.conftest import MakeApi
from tests.web.wire import PATIENCE_SECONDS

Document = dict[str, Any]

WITHOUT_EXAMPLE = ("/openapi.json", "/docs", "/", "/dashboard/{name}")


def documented(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of all there is in a document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def fits(document: Document, schema: dict[str, Any], value: object) -> bool:
    """Whether the value is what the schema says, which may refer to others of the document."""
    whole = {**schema, "components": document["components"]}
    return bool(jsonschema_rs.validator_for(whole, validate_formats=True).is_valid(value))


def submission_fits(document: Document, body: object) -> bool:
    """Whether the document says that this can be submitted."""
    return fits(document, {"$ref": "#/components/schemas/Submission"}, body)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_others_are_answered_while_the_document_is_written(
    api: Api, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It takes long when it is asked for first; it is written once, however many ask."""
    goes_on = threading.Event()
    written = list[Document]()

    def build(*args: Any, **options: Any) -> Document:
        goes_on.wait(PATIENCE_SECONDS)
        written.append(build_document(*args, **options))
        return written[-1]

    monkeypatch.setattr(document_module, "build_document", build)
    answers = list[Answer]()

    async def ask() -> None:
        answers.append(await api.ask(path))

    for _ in range(3):
        nursery.start_soon(ask)
    await trio.testing.wait_all_tasks_blocked()
    assert (await api.ask("/health")).status == 200
    assert answers == []
    goes_on.set()
    assert (await api.ask(path)).status == 200
    while len(answers) < 3:
        await trio.lowlevel.checkpoint()
    assert len(written) == 1


async def test_those_who_ask_and_leave_share_one_thread(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many do, one thread writes the document, and for those who come later, too."""
    goes_on = threading.Event()
    written = list[Document]()

    def build(*args: Any, **options: Any) -> Document:
        written.append(build_document(*args, **options))
        goes_on.wait(PATIENCE_SECONDS)
        return written[-1]

    monkeypatch.setattr(document_module, "build_document", build)
    for _ in range(5):
        async with trio.open_nursery() as leaving:
            leaving.start_soon(api.ask, "/openapi.json")
            await trio.testing.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
    goes_on.set()
    assert (await api.ask("/openapi.json")).status == 200
    assert len(written) == 1


@pytest.fixture
async def document(api: Api) -> Document:
    """What `GET /openapi.json` answers."""
    answer = await api.ask("/openapi.json")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    whole: Document = answer.json
    return whole


async def test_every_route_is_documented_and_nothing_else_is(api: Api, document: Document) -> None:
    """Whoever adds a route must say what it does; whoever removes one, that it is gone."""
    routes = {
        (method, re.sub("<(?:.*?:)?(.*?)>", r"{\1}", rule.rule))
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path) for method, path, _ in documented(document)} == routes
    ids = {operation["operationId"] for _, _, operation in documented(document)}
    assert ids == {rule.endpoint for rule in api.app.url_map.iter_rules()}
    assert OPERATIONS.keys() == routes


@pytest.mark.slow
async def test_it_is_a_valid_document_of_openapi_3_1(document: Document) -> None:
    """Any tool that reads OpenAPI 3.1 can read it."""
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    operations = [operation for _, _, operation in documented(document)]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["summary"]
        assert set(operation["tags"]) <= tags
        assert list(operation["responses"]) == sorted(operation["responses"])


@pytest.mark.slow
async def test_every_example_is_one(document: Document) -> None:
    """All examples of answers, problems and headers fit their own schemas, and none is missing."""
    for method, path, operation in documented(document):
        for status, response in operation["responses"].items():
            for media_type, media in response.get("content", {}).items():
                where = f"{method} {path} {status}"
                examples = [one["value"] for one in media.get("examples", {}).values()]
                if "example" in media:
                    examples.append(media["example"])
                assert examples or path in WITHOUT_EXAMPLE, where
                if "json" in media_type:
                    assert all(fits(document, media["schema"], one) for one in examples), where
    for header in document["components"]["headers"].values():
        assert fits(document, header["schema"], header["example"])


async def test_every_example_of_a_submission_can_be_submitted(api: Api, document: Document) -> None:
    """What the document shows of each job type is taken, as it stands."""
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert content["examples"].keys() == set(api.rig.registry.names)
    for example in content["examples"].values():
        assert submission_fits(document, example["value"])
        await api.submit(**example["value"])


JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
NDJSON = {"Content-Type": "application/x-ndjson"}
TYPELESS = b'{"payload": 1}'
TOLD_BY_EXAMPLE = [
    ("POST", "/jobs", "/jobs", JSON, TYPELESS, "malformed"),
    ("POST", "/jobs", "/jobs", {}, b"{}", "unsupported-media-type"),
    ("POST", "/jobs", "/jobs", JSON, bytes(2**20 + 1), "content-too-large"),
    ("POST", "/jobs/batch", "/jobs/batch", NDJSON, b"\n\n" + TYPELESS, "malformed"),
    ("POST", "/jobs/batch", "/jobs/batch", {}, b"{}", "unsupported-media-type"),
    ("POST", "/jobs/batch", "/jobs/batch", NDJSON, bytes(2**24 + 1), "content-too-large"),
    *(
        ("POST", f"/jobs/{what}", f"/jobs/{what}", {}, None, "malformed")
        for what in ("cancel", "run-now", "retry")
    ),
    ("PATCH", "/jobs/{job_id}", f"/jobs/{JOB}", JSON, b"{}", "malformed"),
    ("GET", "/jobs", "/jobs?limit=0", {}, None, "malformed"),
    ("GET", "/jobs/{job_id}", f"/jobs/{JOB}?wait=no", {}, None, "malformed"),
    ("GET", "/jobs/{job_id}", f"/jobs/{JOB}", {}, None, "unknown-job"),
    *(
        ("POST", "/jobs/{job_id}/retry", f"/jobs/{JOB}/retry", {"Idempotency-Key": key}, b"", kind)
        for key, kind in (('"', "malformed"), ("k", "unknown-job"))
    ),
    ("GET", "/events", "/events?job_id=1", {}, None, "malformed"),
    ("POST", "/queue/pause", "/queue/pause?typ=echo", {}, None, "malformed"),
    ("GET", "/metrics", "/metrics?verbose=1", {}, None, "malformed"),
    ("GET", "/dashboard/{name}", "/dashboard/none.js", {}, None, "not-found"),
]


@pytest.mark.parametrize(("method", "call", "path", "headers", "body", "kind"), TOLD_BY_EXAMPLE)
async def test_an_example_of_a_problem_is_as_the_call_answers_it(
    api: Api,
    document: Document,
    method: str,
    call: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None,
    kind: str,
) -> None:
    """Word by word, so that a client can be made after it."""
    answer = await api.ask(path, method, headers, body)
    response = document["paths"][call][method.lower()]["responses"][str(answer.status)]
    examples = response["content"]["application/problem+json"]["examples"]
    assert examples[kind]["value"] == answer.json


async def test_the_examples_of_a_key_and_a_payload_are_as_they_are_answered(
    api: Api, document: Document
) -> None:
    """Of `POST /jobs`, which every client makes."""
    responses = document["paths"]["/jobs"]["post"]["responses"]

    @api.rig.registry.job("sleep")
    async def sleep(payload: Nap) -> None:
        pass

    for status, kind, bodies in (
        ("400", "invalid-payload", [b'{"type": "sleep", "payload": {}}']),
        ("422", "idempotency-key-reused", [b'{"type": "echo"}', b'{"type": "echo", "payload": 1}']),
    ):
        for body in bodies:
            answer = await api.ask("/jobs", "POST", JSON | {"Idempotency-Key": kind}, body)
        examples = responses[status]["content"]["application/problem+json"]["examples"]
        assert examples[kind]["value"] == answer.json


@pytest.mark.parametrize(
    "body",
    [
        {"type": "echo"},
        {"type": "echo", "payload": [None, {"deep": 1}], "max_retries": 1000},
        {"type": "email", "payload": {"to": "you", "more": True}, "max_retries": None},
        {"type": "flaky", "payload": 3},
        {"type": "endless", "payload": None},
        {"type": "email"},
        {"type": "email", "payload": {"to": 1}},
        {"type": "flaky", "payload": "3"},
        {"type": "endless", "payload": {}},
        {"type": "echo", "max_retries": 1001},
        {"type": "echo", "max_retries": -1},
        {"type": "echo", "payload": 1, "priority_of_mine": 1},
        {"type": "telegram"},
        {"payload": 1},
        [],
    ],
)
async def test_what_it_says_of_a_submission_is_what_the_service_does(
    api: Api, document: Document, body: object
) -> None:
    """Whatever fits the schema is taken, and whatever does not is refused."""
    answer = await api.post(msgspec.json.encode(body))
    assert (answer.status == 201) == submission_fits(document, body), answer


class Nap(msgspec.Struct):
    """A payload."""

    seconds: float


class JobSummary(msgspec.Struct):
    """A payload whose name is also that of an answer."""

    inner: "JobSummary | None" = None


class Colour(Enum):
    """Some names."""

    RED = "red"


class Tree(msgspec.Struct):
    """A type that contains itself."""

    children: "list[Tree]"


class Leaf(msgspec.Struct, tag=True):
    """One of two."""


class Branch(msgspec.Struct, tag=True):
    """The other."""

    left: "Leaf | Branch"


class Window(TypedDict):
    """Keys of a dict."""

    width: int


@dataclass
class Dated:
    """One with a date."""

    day: date


async def test_payload_types_may_be_of_any_kind(api: Api) -> None:
    """Names that are taken, types that contain themselves, and those that have no schema."""
    registry = Registry()

    @registry.job("homonym")
    async def homonym(payload: JobSummary) -> None:
        """Show <script>alert(1)</script>."""

    @registry.job("opaque")
    async def opaque(payload: object) -> None:
        pass

    document = build_document(api.app, registry, needs_token=False)
    schemathesis.openapi.from_dict(document).validate()
    assert submission_fits(document, {"type": "opaque", "payload": [1]})
    assert submission_fits(document, {"type": "homonym", "payload": {"inner": {"inner": None}}})
    assert not submission_fits(document, {"type": "homonym", "payload": {"inner": 1}})
    assert {"JobSummary", "JobSummary2"} <= document["components"]["schemas"].keys()
    listed = document["paths"]["/jobs"]["get"]["responses"]["200"]["content"]["application/json"]
    assert fits(document, listed["schema"], listed["example"])
    assert not fits(document, listed["schema"], [{"inner": None}])


@pytest.mark.slow
@pytest.mark.parametrize(
    "payload_type",
    [
        *(None, bool, float, str, bytes, list, dict, set[int], frozenset, tuple[int, str]),
        *(dict[str, list[int]], int | str | None, Literal["a", 1], Colour, datetime, UUID, Decimal),
        *(list[Tree], Tree, Leaf | Branch, Window, Dated, msgspec.Raw),
        Annotated[str, msgspec.Meta(pattern="^[0-9]{4}$", min_length=4)],
        Annotated[list[int], msgspec.Meta(min_length=2)],
    ],
)
async def test_whatever_msgspec_reads_can_be_told(api: Api, payload_type: Any) -> None:
    """The document is valid, its example is one, and the page shows it."""

    @api.rig.registry.job("new")
    async def new(payload: payload_type) -> None:
        pass

    document = (await api.ask("/openapi.json")).json
    schemathesis.openapi.from_dict(document).validate()
    content = document["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    example = content["examples"].get("new")
    if example is not None:
        assert submission_fits(document, example["value"])
        await api.submit(**example["value"])
    assert (await api.ask("/docs")).status == 200


async def test_schemas_have_names_that_stay_apart_as_classes(api: Api) -> None:
    """Generators make `CountWordsSubmission` of each of these; the type says which is which."""
    registry = Registry()

    @registry.job("count_words")
    @registry.job("count-words")
    @registry.job("数")
    async def count(words: list[str]) -> None:
        pass

    submission = build_document(api.app, registry, needs_token=False)["components"]["schemas"][
        "Submission"
    ]
    references = submission["discriminator"]["mapping"]
    assert references == {
        "count-words": "#/components/schemas/CountWordsSubmission",
        "count_words": "#/components/schemas/CountWordsSubmission2",
        "数": "#/components/schemas/Submission2",
    }
    assert [{"$ref": reference} for reference in references.values()] == submission["oneOf"]


async def test_a_service_without_job_types_takes_none(api: Api) -> None:
    """Its document is as valid as any."""
    document = build_document(api.app, Registry(), needs_token=False)
    schemathesis.openapi.from_dict(document).validate()
    assert not submission_fits(document, {"type": "echo"})


def test_every_error_of_the_queue_is_a_problem() -> None:
    """None of them is taken for a bug, and its status and kind are in the document."""
    others = {
        errors.JobServiceError,
        errors.TryAgainLater,
        errors.SettingsError,
        errors.CannotListen,
    }
    others |= {errors.ResourceFailed, errors.StoreRefused}  # these end a start, and reach no client
    others |= {errors.Unreachable, errors.Unauthorized, errors.UnexpectedAnswer}  # of clients alone
    of_clients = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.JobServiceError)
    }
    assert OF_ERRORS.keys() == of_clients - others
    told = {
        (refusal.status, refusal.kind)
        for operation in OPERATIONS.values()
        for refusal in operation.refusals
    }
    assert {(refusal.status, refusal.kind) for refusal in OF_ERRORS.values()} <= told


async def test_pages_of_other_origins_may_use_every_header_that_is_described(
    make_api: MakeApi,
) -> None:
    """A browser lets them send and read only what the service names."""
    origin = "https://friend.example"
    api = make_api(Access(origins=frozenset({origin})))
    preflight = await api.ask("/jobs", "OPTIONS", {"Origin": origin})
    sendable = preflight.headers["Access-Control-Allow-Headers"].split(", ")
    assert headers.OF_REQUESTS.keys() | {"Authorization", "Content-Type"} == set(sendable)
    answer = await api.ask("/jobs", headers={"Origin": origin})
    readable = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert headers.OF_ANSWERS.keys() - {"Accept-Encoding"} == set(readable)


async def test_a_parameter_that_must_be_there_is_marked(document: Document) -> None:
    """All others may be left out."""
    required = {
        (path, parameter["name"])
        for _, path, operation in documented(document)
        for parameter in operation["parameters"]
        if parameter["in"] != "path" and parameter.get("required")
    }
    assert required == {("/store/backup", "to")}


async def test_where_a_token_is_set_it_says_so(make_api: MakeApi) -> None:
    """Every call but those that are open needs it, and can be answered with 401; else none can."""
    word = "w0rd"
    api = make_api(Access(tokens=taking(word)))
    assert (await api.ask("/openapi.json")).status == 401
    guarded = (await api.ask("/openapi.json", headers={"Authorization": f"Bearer {word}"})).json
    assert guarded["security"] == [{"token": []}]
    for _, path, operation in documented(guarded):
        if path == "/docs":  # which asks for it by itself
            assert "401" in operation["responses"]
            assert operation["security"] == [{}, {"token": []}]
            continue
        is_open = not needs_token(path)
        assert ("401" in operation["responses"]) != is_open
        assert operation.get("security") == ([] if is_open else None)
    unguarded = (await make_api().ask("/openapi.json")).json
    assert "security" not in unguarded
    assert not any("401" in operation["responses"] for _, _, operation in documented(unguarded))


async def test_the_page_asks_for_the_token_that_it_needs(make_api: MakeApi) -> None:
    """Without one it holds no data; with a right one it is the page, and with a wrong one a 401."""
    api = make_api(Access(tokens=taking("w0rd")))
    asking = await api.ask("/docs")
    assert asking.status == 200
    assert b"This service asks for a token" in asking.body
    assert b"email" not in asking.body
    page = await api.ask("/docs", headers={"Authorization": "Bearer w0rd"})
    assert b"email" in page.body
    assert page.headers["ETag"] != asking.headers["ETag"]
    assert page.headers["Vary"] == asking.headers["Vary"] == "Authorization"
    check_problem(await api.ask("/docs", headers={"Authorization": "Bearer w1rd"}), 401)


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_who_has_it_need_not_load_it_again(api: Api, path: str) -> None:
    """The answer has an ETag; who sends it back gets 304 and no body."""
    first = await api.ask(path)
    again = await api.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    other = await api.ask(path, headers={"If-None-Match": '"another"'})
    assert (other.status, other.body) == (200, first.body)


class _Page(HTMLParser):
    """What a page has in it that could load something, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.ids.add(value or "")
            if name == "href":
                self.links.add(value or "")


@pytest.mark.slow
async def test_the_page_loads_nothing_and_runs_nothing(api: Api) -> None:
    """It is one file, and a browser is told to let it do nothing beyond showing itself."""
    answer = await api.ask("/docs")
    text = answer.body.decode()
    page = _Page(text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not page.tags & {"script", "link", "img", "iframe", "form", "object", "base"}
    assert not page.attributes & {"src", "style", "onload", "onclick"}
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.slow
async def test_the_page_shows_every_call_and_its_links_lead_somewhere(
    api: Api, document: Document
) -> None:
    """All operations, job types and schemas are on it; it links to these and to the document."""
    text = (await api.ask("/docs")).body.decode()
    page = _Page(text)
    assert {operation["operationId"] for _, _, operation in documented(document)} <= page.ids
    assert {f"schema-{name}" for name in document["components"]["schemas"]} <= page.ids
    assert {link.removeprefix("#") for link in page.links} - page.ids == {"openapi.json"}
    assert all(f"<h3><code>{name}</code></h3>" in text for name in api.rig.registry.names)


@pytest.mark.slow
async def test_what_a_job_type_says_of_itself_is_text(
    api: Api, make_api: Callable[..., Api]
) -> None:
    """A docstring can't bring markup onto the page."""

    @api.rig.registry.job("<b>bold</b>")
    async def bold(payload: JobSummary) -> None:
        """Run <script>alert(1)</script>, or not."""

    text = (await api.ask("/docs")).body.decode()
    assert "Run &lt;script&gt;alert(1)&lt;/script&gt;, or not." in text
    assert not _Page(text).tags & {"script", "b"}


async def test_a_payload_that_may_be_left_out_is_told_with_its_default(api: Api) -> None:
    """And with the constraints that are on the parameter itself."""

    @api.rig.registry.job("percent")
    async def percent(n: Annotated[int, msgspec.Meta(ge=0, le=100)] = 50) -> None: ...

    document = (await api.ask("/openapi.json")).json
    variant = document["components"]["schemas"]["PercentSubmission"]
    assert variant["required"] == ["type"]
    wanted = {"type": "integer", "minimum": 0, "maximum": 100, "default": 50}
    assert variant["properties"]["payload"] == wanted
    job = await api.ask("/jobs", "POST", JSON, b'{"type": "percent"}')
    assert (await api.ask(job.headers["Location"])).json["payload"] == 50
    answer = await api.ask("/jobs", "POST", JSON, b'{"type": "percent", "payload": null}')
    assert answer.status == 400


async def test_other_answers_pay_nothing_for_it(api: Api) -> None:
    """The way of an answer out of the app is Quart's own."""
    assert (await api.ask("/openapi.json")).status == 200
    assert "make_response" not in vars(api.app)
    assert "QUART_SCHEMA" not in api.app.extensions
    assert (await api.ask("/jobs", "POST", JSON, b'{"type": "echo"}')).status == 201
