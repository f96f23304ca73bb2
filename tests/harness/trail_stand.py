"""A server whose trails deliver every second, and a sure way to tell that they have delivered."""

import sqlite3

from .events import EventMaker, encode
from .ledger import Ledger
from .producer import BatchAnswer, Producer
from .server import REGION
from .signature import Credentials
from .trails import Journey, bucket_policy, trail_arn
from .waiting import eventually

#: Settings of the servers that stands are for.
TIMES = {"CAIRN_TRAILS_DELIVERY_INTERVAL": "1s", "CAIRN_TRAILS_RETRY_PAUSE_MAX": "500ms"}
DELIVERED_SECONDS = 30.0
WITNESS = "the-witness"


class TrailStand:
    """Makes buckets and trails, sends events, waits for what becomes of them.

    A trail of its own, the witness, takes all management events. Events are cut into files in the
    order of the log, for all trails at once: when an event that was sent last lies in the
    witness's bucket and no file waits, all that came before it is where it belongs.
    """

    def __init__(self, server):
        self.server = server
        self.store = server.client("s3")
        self.trails = server.client("cloudtrail")
        self.journey = Journey(server, self.store, {})
        self.maker = EventMaker(1)
        self.make_bucket(WITNESS, trail_arn(WITNESS))
        self.make_trail(WITNESS, WITNESS)

    def make_bucket(self, bucket: str, *arns: str, region: str = REGION, **policy) -> None:
        """A bucket in a Region that lets trails in. `policy` goes to `bucket_policy`."""
        place = {}
        if region != "us-east-1":
            place["CreateBucketConfiguration"] = {"LocationConstraint": region}
        self.store.create_bucket(Bucket=bucket, **place)
        self.store.put_bucket_policy(
            Bucket=bucket, Policy=bucket_policy(bucket, list(arns), **policy)
        )

    def make_trail(self, name: str, bucket: str, region: str = REGION, **settings) -> dict:
        """A trail that logs; the answer to its creation."""
        client = self.client(region)
        made = client.create_trail(Name=name, S3BucketName=bucket, **settings)
        client.start_logging(Name=name)
        return made

    def client(self, region: str):
        """Of CloudTrail in a Region."""
        return self.server.client("cloudtrail", region=region)

    def send(self, events: list[dict], credentials: Credentials | None = None) -> dict:
        """Put events through the ingest door, which must take them all; its answer."""
        answer = self.offer(events, credentials)
        assert answer.refused == [] and answer.status == 200, answer
        return answer.document

    def offer(self, events: list[dict], credentials: Credentials | None = None) -> BatchAnswer:
        """Put events through the ingest door, whatever it says."""
        producer = Producer(
            self.server.endpoint, credentials or self.server.credentials, Ledger()
        )
        answer = producer.send([encode(event) for event in events])
        producer.close()
        assert answer is not None, "no answer"
        return answer

    def settle(self) -> None:
        """Wait until everything that happened before is delivered."""
        last = self.maker.event()
        self.send([last])

        def is_there() -> bool:
            return last["eventID"] in self.ids(WITNESS) and self.waiting() == 0

        eventually(is_there, DELIVERED_SECONDS, "delivery")

    def waiting(self) -> int:
        """Log files that are cut and not delivered."""
        catalog = sqlite3.connect(self.server.data_dir / "catalog.sqlite", timeout=30)
        waiting = "SELECT count(*) FROM trail_files WHERE kind = 'log' AND delivered_ms IS NULL"
        try:
            return catalog.execute(waiting).fetchone()[0]
        finally:
            catalog.close()

    def records(self, bucket: str) -> list[dict]:
        """What lies in the log files of a bucket."""
        return self.journey.records(bucket)

    def ids(self, bucket: str) -> set[str]:
        """IDs of the events in a bucket; none is there twice for one account."""
        found = [(one["eventID"], one["recipientAccountId"]) for one in self.records(bucket)]
        assert len(set(found)) == len(found), "an event is delivered once"
        return {event_id for event_id, _ in found}

    def keys(self, bucket: str, part: str = "/CloudTrail/") -> list[str]:
        """Keys of log files in a bucket that hold a text."""
        return self.journey.objects(bucket, part)
