"""Further accounts, made as an operator makes them."""

import configparser
import subprocess

from .server import Server
from .signature import Credentials


def create_account(server: Server, account: str) -> Credentials:
    """Make an account; the key of its administrator, as `cairn identity` prints it."""
    printed = configparser.ConfigParser()
    printed.read_string(administer(server, "account", "create", account))
    section = printed[printed.sections()[0]]
    return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])


def administer(server: Server, *arguments: str) -> str:
    """What `cairn identity` prints, called by the operator."""
    done = subprocess.run(
        [server.settings.binary, "identity", "--endpoint", server.endpoint, *arguments],
        env=server.aws_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def as_environment(credentials: Credentials) -> dict[str, str]:
    """For the AWS CLI."""
    environment = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    if credentials.session_token:
        environment["AWS_SESSION_TOKEN"] = credentials.session_token
    return environment
