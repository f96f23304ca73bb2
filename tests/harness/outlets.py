"""What trails tell beside putting files, as those who are told see it: queues that subscribe to a
topic or a bus, and the streams of a log group."""

import json

from .moto import Moto
from .server import ACCOUNT, REGION
from .trails import HOME

GROUP = "CloudTrail/logs"
GROUP_ARN = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{GROUP}"
STREAM = f"{ACCOUNT}_CloudTrail_{HOME}"
ROLE = "CloudTrail_CloudWatchLogs_Role"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
MESSAGES_MAX = 10
#: Where the server names them: the steps of telling at which a death is tried.
POINTS = ["trails::notify::sent", "trails::feed::sent", "trails::feed::recorded"]


def topic_policy(topic_arn: str, trail_arn: str | None = None) -> str:
    """The policy that the manual gives for a trail's topic (SEC-239, SEC-243)."""
    statement = {
        "Sid": "AWSCloudTrailSNSPolicy20131101",
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "SNS:Publish",
        "Resource": topic_arn,
    }
    if trail_arn:
        statement["Condition"] = {"StringEquals": {"aws:SourceArn": trail_arn}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role_policies(actions=("logs:CreateLogStream", "logs:PutLogEvents")) -> tuple[str, str]:
    """Trust policy and policy of the role that writes to the log group (REC-175, REC-184)."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    stream = f"{GROUP_ARN}:log-stream:{STREAM}*"
    allowed = [{"Effect": "Allow", "Action": [action], "Resource": [stream]} for action in actions]
    version = {"Version": "2012-10-17"}
    return (
        json.dumps(version | {"Statement": [trust]}),
        json.dumps(version | {"Statement": allowed}),
    )


class Told:
    """Topic, log group and bus in moto, and what came there."""

    def __init__(self, moto: Moto, region: str = REGION):
        self.moto = moto
        self.sqs = moto.client("sqs", region)
        self.sns = moto.client("sns", region)
        self.logs = moto.client("logs", region)
        self.events = moto.client("events", region)
        self.region = region
        self.messages: dict[str, list[dict]] = {}

    def queue(self, name: str) -> str:
        """A new queue; its ARN."""
        self.sqs.create_queue(QueueName=name)
        self.messages[name] = []
        return f"arn:aws:sqs:{self.region}:{ACCOUNT}:{name}"

    def topic(self, name: str, trail_arn: str | None = None) -> str:
        """A new topic that lets CloudTrail publish, with a queue of the same name; its ARN."""
        arn = self.sns.create_topic(Name=name)["TopicArn"]
        self.allow(arn, trail_arn)
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=self.queue(name))
        return arn

    def allow(self, topic_arn: str, trail_arn: str | None = None) -> None:
        """Let CloudTrail publish, for one trail alone if one is given."""
        policy = topic_policy(topic_arn, trail_arn)
        self.sns.set_topic_attributes(
            TopicArn=topic_arn, AttributeName="Policy", AttributeValue=policy
        )

    def bus(self, name: str) -> None:
        """A queue that gets all that comes on the default bus."""
        arn = self.queue(name)
        self.events.put_rule(Name=name, EventPattern=json.dumps({"source": [{"prefix": ""}]}))
        self.events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])

    def received(self, name: str) -> list[dict]:
        """Everything that has come to a queue until now, as it was sent."""
        url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=MESSAGES_MAX)
            if not answer.get("Messages"):
                return self.messages[name]
            for message in answer["Messages"]:
                self.messages[name].append(json.loads(message["Body"]))
                handle = message["ReceiptHandle"]
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=handle)

    def keys(self, name: str) -> list[tuple[str, str]]:
        """Bucket and key of each log file that the topic was told of, message by message."""
        found = []
        for envelope in self.received(name):
            message = json.loads(envelope["Message"])
            assert set(message) == {"s3Bucket", "s3ObjectKey"}
            found += [(message["s3Bucket"], key) for key in message["s3ObjectKey"]]
        return found

    def logged(self, stream: str = STREAM) -> list[dict]:
        """The events of a stream."""
        values = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True}
        answer = self.logs.get_log_events(**values)
        found = []
        while answer["events"]:
            found += [json.loads(event["message"]) for event in answer["events"]]
            answer = self.logs.get_log_events(**values, nextToken=answer["nextForwardToken"])
        return found

    def streams(self) -> list[str]:
        """The streams of the log group."""
        answer = self.logs.describe_log_streams(logGroupName=GROUP)
        return [stream["logStreamName"] for stream in answer["logStreams"]]


def make_role(iam, **values) -> None:
    """The role that writes to the log group, in Cairn's own IAM."""
    trust, policy = role_policies(**values)
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=ROLE, PolicyName="logs", PolicyDocument=policy)
