"""Which connections are encrypted how: only with suites that keep recorded traffic safe when the
server's key is lost later (perfect forward secrecy)."""

import socket
import ssl
from pathlib import Path
from ssl import TLSVersion

import pytest

from conftest import ServerFactory
from harness.waiting import eventually

FIXTURES = Path(__file__).parent / "fixtures"
#: Suites in which the certificate's RSA key itself carries the session's key.
WITHOUT_FORWARD_SECRECY = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA256", "AES256-SHA")


@pytest.fixture(scope="module")
def port(binary, tmp_path_factory):
    """The port of a server with an RSA certificate, which the older suites could use."""
    factory = ServerFactory(binary, tmp_path_factory.mktemp("tls"))
    server = factory.new(environment={
        "CAIRN_TLS_CERTIFICATE_FILE": str(FIXTURES / "localhost-rsa.cert.pem"),
        "CAIRN_TLS_PRIVATE_KEY_FILE": str(FIXTURES / "localhost-rsa.key.pem"),
    })
    server.spawn()
    eventually(lambda: answers(server.port), 60)
    yield server.port
    assert server.stop() == 0


def answers(port: int) -> bool:
    """Whether the listener is there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def handshake(port: int, version: TLSVersion, suites: str = "ALL") -> tuple[str, str]:
    """The version and suite that a client of this kind gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(FIXTURES / "localhost-rsa.cert.pem")
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as encrypted,
    ):
        name, protocol, _ = encrypted.cipher()
        return protocol, name


# Proves: SEC-085, SEC-092
def test_suites_have_forward_secrecy(port):
    protocol, suite = handshake(port, TLSVersion.TLSv1_3)
    assert protocol == "TLSv1.3" and suite.startswith("TLS_")
    protocol, suite = handshake(port, TLSVersion.TLSv1_2)
    assert protocol == "TLSv1.2" and suite.startswith("ECDHE-RSA-")
    for suite in WITHOUT_FORWARD_SECRECY:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(port, TLSVersion.TLSv1_2, suite)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [TLSVersion.TLSv1, TLSVersion.TLSv1_1])
def test_old_versions_are_refused(port, version):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(port, version)
