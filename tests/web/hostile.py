"""Everything hostile that a connection can begin with, for any server of HTTP/1.1 on a socket."""

import base64

from tests.web.wire import request

JSON_TYPE = "Content-Type: application/json"
H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
WEB_SOCKET = request(
    "/health",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
H2C = request(
    "/health",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: " + base64.urlsafe_b64encode(bytes(6)).decode(),
)
SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(*headers: str) -> bytes:
    """The head of a POST of JSON."""
    return request("/jobs", JSON_TYPE, *headers, method="POST")


SMUGGLING = {
    "length and chunks": post("Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "chunks and length": post("Transfer-Encoding: chunked", "Content-Length: 5")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "two lengths": post("Content-Length: 0", "Content-Length: 43") + SMUGGLED,
    "two lengths in one": post("Content-Length: 0, 43") + SMUGGLED,
    "length with a sign": post("Content-Length: +43") + SMUGGLED,
    "length below zero": post("Content-Length: -1") + SMUGGLED,
    "length in hex": post("Content-Length: 0x2b") + SMUGGLED,
    "length with a space": post("Content-Length: 4 3") + SMUGGLED,
    "length in other digits": post("Content-Length: \xb2") + SMUGGLED,
    "coding twice": post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
    + b"0\r\n\r\n"
    + SMUGGLED,
    "coding list": post("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n" + SMUGGLED,
    "coding xchunked": post("Transfer-Encoding: xchunked") + b"0\r\n\r\n" + SMUGGLED,
    "coding with a tab": post("Transfer-Encoding:\x0bchunked") + b"0\r\n\r\n" + SMUGGLED,
    "coding in quotes": post('Transfer-Encoding: "chunked"') + b"0\r\n\r\n" + SMUGGLED,
    "space before the colon": post("Content-Length : 43") + SMUGGLED,
    "tab before the colon": post("Transfer-Encoding\t: chunked") + b"0\r\n\r\n" + SMUGGLED,
    "no name": post(": 43") + SMUGGLED,
    "no colon": post("Content-Length 43") + SMUGGLED,
    "folded first line": b"POST /jobs HTTP/1.1\r\n Host: a\r\n\r\n" + SMUGGLED,
    "bare CR": b"POST /jobs HTTP/1.1\r\nHost: a\r\nX: a\rContent-Length: 43\r\n\r\n" + SMUGGLED,
    "bare CR as line end": b"POST /jobs HTTP/1.1\rHost: a\r\r" + SMUGGLED,
    "null in a value": b"POST /jobs HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n" + SMUGGLED,
    "two hosts": request("/jobs", "Host: evil.example") + SMUGGLED,
    "chunk size with a sign": post("Transfer-Encoding: chunked") + b"+1\r\nx\r\n0\r\n\r\n",
    "chunk size below zero": post("Transfer-Encoding: chunked") + b"-1\r\nx\r\n0\r\n\r\n",
    "chunk size in hex": post("Transfer-Encoding: chunked") + b"0x1\r\nx\r\n0\r\n\r\n",
    "chunk size too large": post("Transfer-Encoding: chunked") + b"f" * 30 + b"\r\nx",
    "chunk size of a gigabyte": post("Transfer-Encoding: chunked") + b"40000000\r\nx",
    "chunk size missing": post("Transfer-Encoding: chunked") + b"\r\n\r\n" + SMUGGLED,
    "chunk longer than said": post("Transfer-Encoding: chunked") + b"1\r\nxyz\r\n0\r\n\r\n",
    "chunk with bare CR": post("Transfer-Encoding: chunked") + b"1\rx\r0\r\r" + SMUGGLED,
    "chunk extension without end": post("Transfer-Encoding: chunked") + b"1;" + b"x" * 100_000,
    "trailers without end": post("Transfer-Encoding: chunked") + b"0\r\n" + b"a: b\r\n" * 20_000,
}
FLOODS = {
    "many headers": request("/health", *(f"X-{number}: y" for number in range(5_000))),
    "a large header": request("/health", "X: " + "y" * 1_000_000),
    "a long path": request("/" + "x" * 1_000_000),
    "a long method": request("/", method="X" * 1_000_000),
    "blank lines": b"\r\n" * 100_000,
    "garbage": bytes(range(256)) * 1_000,
    "zeros": bytes(100_000),
    "chunks of a byte": post("Transfer-Encoding: chunked") + b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n",
    "pipelined": request("/health") * 1_500,
    "pipelined, closing in between": (request("/health") + request("/", "Connection: close")) * 500,
    "a body where none belongs": request("/health", "Content-Length: 100000") + bytes(100_000),
}
OTHER_PROTOCOLS = {
    "ws + byte": WEB_SOCKET + b"x",
    "ws + frame": WEB_SOCKET + b"\x81\x85\x00\x00\x00\x00hello",
    "h2c + preface": H2C + H2_PREFACE,
    "h2 preface": H2_PREFACE,
    "h2 DATA": H2_PREFACE + b"\0\0\1\0\0\0\0\0\1x" * 10,
    "h2 path": H2_PREFACE
    + bytes([0, 0, 0x15, 1, 5, 0, 0, 0, 1])
    + b"\x82\x87\x41\x0flocalhost:65535\x04\x02/\xff"[:21],
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "HTTP/0.9": b"GET /health\r\n",
    "HTTP/3.0": b"GET /health HTTP/3.0\r\nHost: a\r\n\r\n",
    "PROXY": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + request("/health"),
    "CONNECT": request("localhost:80", method="CONNECT"),
    "CONNECT + bytes": request("localhost:80", method="CONNECT") + b"\x16\x03\x01",
    "CONNECT nowhere": request("/", method="CONNECT"),
    "TRACE": request("/health", method="TRACE"),
}
TARGETS = {
    f"{method} {target}": request(target, method=method)
    for method in ("GET", "HEAD", "OPTIONS", "POST")
    for target in (
        *("*", "http://localhost/health", "http://localhost", "http://[::1", "//", "/%", "/%ff"),
        *("/%00", "?", "#", "localhost:80", "health", "/../../etc/passwd", "/health/%2e%2e"),
    )
}
FOLDED = post("X: y\r\n Content-Length: 43") + SMUGGLED  # which may be unfolded, RFC 9112, 5.2
UNFINISHED = {
    "nothing": b"",
    "a byte": b"G",
    "half a head": request("/health")[:-2],
    "half a body": post("Content-Length: 100") + b'{"type"',
    "half a chunk": post("Transfer-Encoding: chunked") + b"10\r\n{",
    "no body": post("Content-Length: 100"),
    "waits for 100": post("Content-Length: 100", "Expect: 100-continue"),
    "expects something else": post("Content-Length: 2", "Expect: a miracle") + b"{}",
    "HEAD without its body": request("/health", "Content-Length: 10", method="HEAD"),
    "a strange HEAD without its body": request("?", "Content-Length: 10", method="HEAD"),
    "a stream": request("/events"),
    "a stream with a body to come": request("/events", "Content-Length: 1000"),
    "two streams": request("/events") * 2,
}
ALL = {
    **{f"smuggling: {name}": data for name, data in SMUGGLING.items()},
    **{f"flood: {name}": data for name, data in FLOODS.items()},
    **{f"protocol: {name}": data for name, data in OTHER_PROTOCOLS.items()},
    **{f"target: {name}": data for name, data in TARGETS.items()},
    "folded": FOLDED,
    **{f"unfinished: {name}": data for name, data in UNFINISHED.items()},
}
