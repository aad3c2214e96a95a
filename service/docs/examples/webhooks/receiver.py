"""A receiver to try the webhooks with: it is busy at first, and checks what it gets."""

import hashlib
import hmac
import os
import sys
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ.get("WEBHOOK_SECRET", "only for trying").encode()
OLDEST_SECONDS = 300


class Receiver(BaseHTTPRequestHandler):
    calls = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.calls += 1
        if not is_genuine(self.headers, body):
            self.send_response(401)
        elif Receiver.calls == 1:
            self.send_response(429)
            self.send_header("Retry-After", "1")
        else:
            print(body.decode(), flush=True)
            self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def is_genuine(headers: Message, body: bytes) -> bool:
    """Whether somebody sent it who knows the secret, and not long ago."""
    sent_at = headers.get("Webhook-Timestamp", "0")
    signed = b".".join((headers.get("Webhook-Id", "").encode(), sent_at.encode(), body))
    wanted = hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
    is_new = abs(time.time() - int(sent_at)) < OLDEST_SECONDS
    return is_new and hmac.compare_digest(wanted, headers.get("Webhook-Signature", ""))


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
