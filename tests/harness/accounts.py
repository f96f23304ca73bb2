"""Further accounts, made as an operator makes them."""

import configparser
import subprocess

from .server import Server
from .signature import Credentials


def create_account(server: Server, account: str) -> Credentials:
    """Make an account; the key of its administrator, as `cairn identity` prints it."""
    made = subprocess.run(
        [
            *(server.settings.binary, "identity", "--endpoint", server.endpoint),
            *("account", "create", account),
        ],
        env=server.aws_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    printed = configparser.ConfigParser()
    printed.read_string(made.stdout)
    section = printed[printed.sections()[0]]
    return Credentials(section["aws_access_key_id"], section["aws_secret_access_key"])


def as_environment(credentials: Credentials) -> dict[str, str]:
    """For the AWS CLI."""
    environment = {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
    }
    if credentials.session_token:
        environment["AWS_SESSION_TOKEN"] = credentials.session_token
    return environment
