"""Calls through botocore with its own validation off, and what came back over the wire."""

import json
from dataclasses import dataclass

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


@dataclass
class Outcome:
    """An answer as botocore read it and as it was written."""

    #: The error's code, or nothing for a success.
    code: str | None
    message: str
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """Clients that send whatever they are given."""

    def __init__(self, server):
        self.clients = {}
        self.last = None
        for service in ("cloudtrail", "cloudtrail-data"):
            client = boto3.client(
                service,
                endpoint_url=server.endpoint,
                region_name="us-east-1",
                aws_access_key_id=server.credentials.access_key_id,
                aws_secret_access_key=server.credentials.secret_access_key,
                config=Config(
                    parameter_validation=False,
                    retries={"total_max_attempts": 1},
                    connect_timeout=10,
                    read_timeout=30,
                ),
            )
            client.meta.events.register(f"after-call.{service}", self.keep)
            self.clients[service] = client

    def keep(self, http_response, **_):
        """Remember the answer before botocore makes an exception of it."""
        self.last = http_response

    def call(self, service: str, operation: str, request: dict) -> Outcome:
        """One call."""
        client = self.clients[service]
        method = next(
            method for method, name in client.meta.method_to_api_mapping.items()
            if name == operation
        )
        code, message = None, ""
        try:
            getattr(client, method)(**request)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        answer = self.last
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Outcome(code, message, answer.status_code, headers, answer.content)
