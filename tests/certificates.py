"""Certificates for tests: a server's files, and what its clients need to trust them."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate for localhost and 127.0.0.1, and of the CA behind it."""

    certfile: Path
    keyfile: Path
    cafile: Path

    def trust(self, *protocols: str) -> ssl.SSLContext:
        """A client's context that trusts it, and offers these protocols (ALPN)."""
        context = ssl.create_default_context(cafile=str(self.cafile))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def issue(directory: Path) -> Certificate:
    """Make a CA and one certificate, with their files in `directory`."""
    certificate = Certificate(
        directory / "certificate.pem", directory / "key.pem", directory / "ca.pem"
    )
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost", "127.0.0.1")
    ca.cert_pem.write_to_path(certificate.cafile)
    leaf.private_key_pem.write_to_path(certificate.keyfile)
    for number, pem in enumerate(leaf.cert_chain_pems):
        pem.write_to_path(certificate.certfile, append=number > 0)
    return certificate
