"""Parses the head of a request, and refuses what the app need not see."""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from job_service.web.edge.bodies import Body, ChunkedBody, SizedBody
from job_service.web.edge.fast_path import read_usual_post
from job_service.web.edge.heads import NO_REQUEST, Refused

SHORT_BODY_BYTES = 16 * 1024

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with what takes its body."""

    method: str
    target: bytes  # a path with its query, or `*`
    version: str
    headers: Headers
    body: Body
    keeps_open: bool  # the connection, for another request
    awaits_continue: bool = False  # before it sends its body
    short_body: SizedBody | None = None  # the body, if the request is as most submissions are


def read_request(head: bytes) -> Request:
    """The request with this head. Raises Refused if it can't be answered."""
    usual = read_usual_post(head)
    if usual is not None:
        start = "POST", usual.target, "1.1", usual.headers
        usual_body = SizedBody(usual.length)
        return Request(
            *start, usual_body, keeps_open=True, short_body=_short(usual_body, usual.target)
        )
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    try:
        request = connection.next_event()
    except h11.RemoteProtocolError as error:
        raise Refused(HTTPStatus(error.error_status_hint), NO_REQUEST) from None
    if not isinstance(request, h11.Request):
        raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)
    _check(request)
    headers, target = list(request.headers), request.target
    if not target.startswith((b"/", b"*")):
        # Its host counts, whatever Host says: RFC 9112, section 3.2.2.
        target, host = _parts(target, request.method)
        headers = [item for item in headers if item[0] != b"host"] + [(b"host", host)]
    values = dict(headers)
    body = _body(request.http_version, values)
    awaits_continue = connection.they_are_waiting_for_100_continue
    is_submission = (
        request.method == b"POST" and b"content-length" in values and not awaits_continue
    )
    return Request(
        request.method.decode(),
        target,
        min(request.http_version, b"1.1").decode(),  # RFC 9110, section 6.2
        headers,
        body,
        keeps_open=request.http_version >= b"1.1" and b"close" not in _options(headers),
        awaits_continue=awaits_continue,
        short_body=_short(body, target) if is_submission else None,
    )


def _check(request: h11.Request) -> None:
    if not request.http_version.startswith(b"1."):
        raise Refused(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and HTTP/1.0 are spoken here"
        )
    if request.method == b"CONNECT":  # for proxies; what the client sends next is no request
        raise _no_path()
    if request.target.startswith(b"*") and (request.method, request.target) != (b"OPTIONS", b"*"):
        raise _no_path()
    if request.http_version > b"1.1" and b"host" not in dict(request.headers):
        raise Refused(HTTPStatus.BAD_REQUEST, NO_REQUEST)  # h11 requires it only in 1.1 itself


def _parts(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """The path with its query, and the host, of a target that is a URL."""
    try:
        url = urlsplit(target)
    except ValueError:
        raise _no_path() from None
    if url.scheme not in (b"http", b"https") or not url.netloc:
        raise _no_path()
    if method == b"OPTIONS" and not (url.path or url.query):
        return b"*", url.netloc  # RFC 9112, section 3.2.4
    return b"?".join(part for part in (url.path or b"/", url.query) if part), url.netloc


def _no_path() -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "the target of the request names no path")


def _body(version: bytes, values: dict[bytes, bytes]) -> Body:
    """Raises Refused if two readers might not agree on its end: RFC 9112, 6.1 and 6.3."""
    if b"transfer-encoding" not in values:
        return SizedBody(int(values.get(b"content-length", b"0")))
    if b"content-length" in values or version < b"1.1":
        raise Refused(HTTPStatus.BAD_REQUEST, "the end of the request is ambiguous")
    return ChunkedBody()


def _short(body: Body, target: bytes) -> SizedBody | None:
    """The body, if its length is known to be short, and the call is answered at once.

    A call with a query may wait, as for the end of the job that it submits.
    """
    if not isinstance(body, SizedBody) or b"?" in target:
        return None
    return body if body.missing <= SHORT_BODY_BYTES else None


def _options(headers: Headers) -> set[bytes]:
    """What the request says of its connection (RFC 9110, section 7.6.1)."""
    said = b",".join(value for name, value in headers if name == b"connection")
    return {option.strip() for option in said.lower().split(b",")}
