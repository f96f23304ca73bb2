#!/usr/bin/env python3
# Part of Cairn, Apache-2.0. Makes corpora for benchmarks and load tests.
"""Write a deterministic corpus of CloudTrail log files, in the layout a trail delivers.

    gen_corpus.py OUT_DIR --events 1000000 --days 30 [--accounts 3] [--first-account 111111111111] [--seed 7] [--bucket-prefix ""]
                  [--per-file 2000] [--min-file 100] [--data-share 0.3] [--ndjson FILE] [--end 2026-11-01T00:00:00Z]

Files go to OUT_DIR/AWSLogs/ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/*.json.gz, each {"Records":[...]}.
With --ndjson the same records are also written one a line to FILE (".gz" compresses).
The mix follows what real accounts show: a few noisy read calls dominate, names are Zipf-like,
about 6 % of calls fail, most callers are assumed roles, records average about 1.3 KB.
Standard library only.
"""
import argparse, datetime as dt, gzip, json, os, random, sys, uuid

READ, WRITE = True, False
# source, name, readOnly, weight, category, shape
CALLS = [
    ("ec2", "DescribeInstances", READ, 90, "Management", "ec2_filter"),
    ("ec2", "DescribeVolumes", READ, 40, "Management", "ec2_filter"),
    ("ec2", "DescribeSecurityGroups", READ, 35, "Management", "ec2_filter"),
    ("ec2", "DescribeNetworkInterfaces", READ, 30, "Management", "ec2_filter"),
    ("ec2", "RunInstances", WRITE, 6, "Management", "run_instances"),
    ("ec2", "TerminateInstances", WRITE, 5, "Management", "instances"),
    ("ec2", "StopInstances", WRITE, 3, "Management", "instances"),
    ("ec2", "AuthorizeSecurityGroupIngress", WRITE, 3, "Management", "sg_rule"),
    ("ec2", "CreateTags", WRITE, 8, "Management", "tags"),
    ("sts", "AssumeRole", READ, 110, "Management", "assume_role"),
    ("sts", "GetCallerIdentity", READ, 30, "Management", "empty"),
    ("kms", "Decrypt", READ, 100, "Management", "kms"),
    ("kms", "GenerateDataKey", READ, 60, "Management", "kms"),
    ("kms", "DisableKey", WRITE, 1, "Management", "kms"),
    ("s3", "GetBucketAcl", READ, 25, "Management", "bucket"),
    ("s3", "ListBuckets", READ, 10, "Management", "bucket"),
    ("s3", "PutBucketPolicy", WRITE, 2, "Management", "bucket_policy"),
    ("iam", "GetRole", READ, 25, "Management", "role"),
    ("iam", "ListAttachedRolePolicies", READ, 15, "Management", "role"),
    ("iam", "CreateUser", WRITE, 1, "Management", "user"),
    ("iam", "AttachRolePolicy", WRITE, 2, "Management", "attach"),
    ("iam", "CreateAccessKey", WRITE, 1, "Management", "user"),
    ("logs", "CreateLogStream", WRITE, 30, "Management", "log_stream"),
    ("logs", "DescribeLogGroups", READ, 20, "Management", "log_stream"),
    ("ssm", "UpdateInstanceInformation", WRITE, 45, "Management", "ssm"),
    ("ssm", "GetParameter", READ, 30, "Management", "ssm_param"),
    ("rds", "DescribeDBInstances", READ, 15, "Management", "rds"),
    ("rds", "CreateDBInstance", WRITE, 1, "Management", "rds_create"),
    ("lambda", "GetFunction20150331v2", READ, 12, "Management", "fn"),
    ("lambda", "UpdateFunctionCode20150331v2", WRITE, 3, "Management", "fn"),
    ("cloudtrail", "LookupEvents", READ, 6, "Management", "lookup"),
    ("cloudtrail", "StopLogging", WRITE, 0.2, "Management", "trail"),
    ("signin", "ConsoleLogin", WRITE, 2, "Management", "login"),
    ("secretsmanager", "GetSecretValue", READ, 20, "Management", "secret"),
    ("dynamodb", "DescribeTable", READ, 10, "Management", "table"),
    ("s3", "GetObject", READ, 120, "Data", "object"),
    ("s3", "PutObject", WRITE, 60, "Data", "object"),
    ("s3", "HeadObject", READ, 40, "Data", "object"),
    ("s3", "DeleteObject", WRITE, 8, "Data", "object"),
    ("lambda", "Invoke", WRITE, 50, "Data", "fn"),
    ("dynamodb", "GetItem", READ, 40, "Data", "table"),
    ("dynamodb", "PutItem", WRITE, 20, "Data", "table"),
]
REGIONS = [("us-east-1", 60), ("us-west-2", 20), ("eu-west-1", 15), ("ap-southeast-2", 5)]
ERRORS = [("AccessDenied", "User: {arn} is not authorized to perform: {svc}:{name}"), ("ThrottlingException", "Rate exceeded"),
          ("Client.UnauthorizedOperation", "You are not authorized to perform this operation."),
          ("ResourceNotFoundException", "Requested resource not found"), ("NoSuchEntity", "The role cannot be found."),
          ("ValidationException", "1 validation error detected"), ("Client.RequestLimitExceeded", "Request limit exceeded.")]
AGENTS = ["aws-sdk-go/1.44.122 (go1.21; linux; amd64)", "Boto3/1.34.11 Python/3.11.6 Linux/5.10 Botocore/1.34.11", "console.amazonaws.com",
          "aws-cli/2.15.0 Python/3.11.6 Linux/6.1 exe/x86_64 prompt/off command/ec2.describe-instances", "AWS Internal",
          "APN/1.0 HashiCorp/1.0 Terraform/1.6.6 (+https://www.terraform.io) terraform-provider-aws/5.31.0",
          "aws-sdk-java/2.20.1 Linux/5.10 OpenJDK_64-Bit_Server_VM/17", "kubelet/v1.28", "lambda.amazonaws.com"]


def pick(rng, pairs):
    return rng.choices([p[0] for p in pairs], weights=[p[1] for p in pairs])[0]


class Gen:
    def __init__(self, a):
        self.rng = r = random.Random(a.seed)
        self.end = int(dt.datetime.fromisoformat(a.end.replace("Z", "+00:00")).timestamp())
        self.span = int(a.days * 86400)
        self.accounts = [f"{a.first_account + 101010101 * i:012d}" for i in range(a.accounts)]
        calls = [c for c in CALLS]
        data = sum(c[3] for c in calls if c[4] == "Data"); mgmt = sum(c[3] for c in calls if c[4] == "Management")
        self.calls = calls
        self.weights = [c[3] / data * a.data_share if c[4] == "Data" else c[3] / mgmt * (1 - a.data_share) for c in calls]
        self.roles = [f"{p}-{s}-role" for p in ("app", "ci", "eks", "batch", "etl", "web", "ops", "sec") for s in ("prod", "stage", "dev", "sandbox", "shared")]
        self.users = [f"{n}.{s}" for n in ("mary", "john", "ana", "wei", "li", "omar", "zoe", "ivan", "nina", "paulo") for s in ("major", "doe", "silva", "chen", "khan", "novak")]
        self.buckets = [f"corp-{k}-{i:03d}" for k in ("logs", "data", "media", "backup") for i in range(40)]
        self.ips = [f"{r.randint(11,223)}.{r.randint(0,255)}.{r.randint(0,255)}.{r.randint(1,254)}" for _ in range(3000)]
        self.inst = [f"i-{r.getrandbits(68):017x}" for _ in range(4000)]
        self.keys = [f"AKIA{''.join(r.choices('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', k=16))}" for _ in range(200)]

    def zipf(self, xs):
        return xs[min(int(len(xs) * self.rng.random() ** 3), len(xs) - 1)]

    def uid(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def identity(self, acct, t):
        r = self.rng
        k = r.random()
        if k < 0.62:
            role = self.zipf(self.roles); aid = "AROA" + f"{abs(hash_(role)):016X}"[:16]; ses = self.zipf(self.inst) if r.random() < .7 else self.zipf(self.users)
            return {"type": "AssumedRole", "principalId": f"{aid}:{ses}", "arn": f"arn:aws:sts::{acct}:assumed-role/{role}/{ses}", "accountId": acct,
                    "accessKeyId": "ASIA" + self.zipf(self.keys)[4:], "sessionContext": {
                        "sessionIssuer": {"type": "Role", "principalId": aid, "arn": f"arn:aws:iam::{acct}:role/{role}", "accountId": acct, "userName": role},
                        "webIdFederationData": {}, "attributes": {"creationDate": iso(t - r.randint(0, 3600)), "mfaAuthenticated": "false"}}}
        if k < 0.82:
            u = self.zipf(self.users)
            return {"type": "IAMUser", "principalId": "AIDA" + f"{abs(hash_(u)):016X}"[:16], "arn": f"arn:aws:iam::{acct}:user/{u}", "accountId": acct,
                    "accessKeyId": self.zipf(self.keys), "userName": u}
        if k < 0.99:
            return {"type": "AWSService", "invokedBy": r.choice(["autoscaling.amazonaws.com", "ec2.amazonaws.com", "lambda.amazonaws.com", "config.amazonaws.com"])}
        return {"type": "Root", "principalId": acct, "arn": f"arn:aws:iam::{acct}:root", "accountId": acct, "accessKeyId": ""}

    def params(self, shape, acct, region, svc):
        r = self.rng
        b = self.zipf(self.buckets); i = self.zipf(self.inst)
        key = f"arn:aws:kms:{region}:{acct}:key/{uuid.UUID(int=abs(hash_(b)) % 2**128)}"
        P = {
            "empty": (None, None, None),
            "ec2_filter": ({"filterSet": {"items": [{"name": "tag:env", "valueSet": {"items": [{"value": r.choice(["prod", "dev"])}]}}]}, "maxResults": 1000}, None, None),
            "run_instances": ({"instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "minCount": 1, "maxCount": 1, "keyName": "ops"}]}, "instanceType": r.choice(["m5.large", "c6g.xlarge", "p4d.24xlarge"]), "monitoring": {"enabled": False}},
                              {"requestId": self.uid(), "reservationId": f"r-{r.getrandbits(68):017x}", "ownerId": acct, "instancesSet": {"items": [{"instanceId": i, "imageId": "ami-0abcdef1234567890", "instanceState": {"code": 0, "name": "pending"}, "privateDnsName": "ip-10-0-1-23.ec2.internal"}]}}, None),
            "instances": ({"instancesSet": {"items": [{"instanceId": i}]}}, {"requestId": self.uid(), "instancesSet": {"items": [{"instanceId": i, "currentState": {"code": 32, "name": "shutting-down"}, "previousState": {"code": 16, "name": "running"}}]}}, None),
            "sg_rule": ({"groupId": f"sg-{abs(hash_(b)) % 16**8:08x}", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": {"items": [{"cidrIp": r.choice(["0.0.0.0/0", "10.0.0.0/8"])}]}}]}}, {"_return": True}, None),
            "tags": ({"resourcesSet": {"items": [{"resourceId": i}]}, "tagSet": {"items": [{"key": "owner", "value": self.zipf(self.users)}]}}, {"_return": True}, None),
            "assume_role": ({"roleArn": f"arn:aws:iam::{acct}:role/{self.zipf(self.roles)}", "roleSessionName": i, "durationSeconds": 3600},
                            {"credentials": {"accessKeyId": "ASIA" + self.zipf(self.keys)[4:], "expiration": "Nov 1, 2026, 1:00:00 PM", "sessionToken": "A" * 180}},
                            [{"accountId": acct, "type": "AWS::IAM::Role", "ARN": f"arn:aws:iam::{acct}:role/{self.zipf(self.roles)}"}]),
            "kms": ({"keyId": key, "encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {"aws:s3:arn": f"arn:aws:s3:::{b}"}}, None, [{"accountId": acct, "type": "AWS::KMS::Key", "ARN": key}]),
            "bucket": ({"bucketName": b, "Host": f"{b}.s3.{region}.amazonaws.com", "acl": ""}, None, [{"accountId": acct, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{b}"}]),
            "bucket_policy": ({"bucketName": b, "bucketPolicy": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{b}/*"}]}}, None, [{"accountId": acct, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{b}"}]),
            "role": ({"roleName": self.zipf(self.roles)}, None, None),
            "user": ({"userName": self.zipf(self.users)}, {"user": {"userName": self.zipf(self.users), "path": "/"}}, None),
            "attach": ({"roleName": self.zipf(self.roles), "policyArn": r.choice(["arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/ReadOnlyAccess"])}, None, None),
            "log_stream": ({"logGroupName": f"/aws/lambda/{self.zipf(self.roles)}", "logStreamName": f"2026/10/01/[$LATEST]{r.getrandbits(64):016x}"}, None, None),
            "ssm": ({"instanceId": i, "agentVersion": "3.2.2016.0", "agentStatus": "Active", "platformType": "Linux", "platformName": "Amazon Linux", "platformVersion": "2023", "iPAddress": "10.0.1.23", "computerName": "ip-10-0-1-23.ec2.internal"}, None, None),
            "ssm_param": ({"name": f"/app/{self.zipf(self.roles)}/db", "withDecryption": True}, None, [{"accountId": acct, "type": "AWS::SSM::Parameter", "ARN": f"arn:aws:ssm:{region}:{acct}:parameter/app"}]),
            "rds": ({"maxRecords": 100}, None, None),
            "rds_create": ({"dBInstanceIdentifier": f"db-{r.randint(1,999)}", "engine": r.choice(["aurora-mysql", "aurora-postgresql", "postgres"]), "dBInstanceClass": "db.r6g.large", "publiclyAccessible": r.random() < .1, "enablePerformanceInsights": True}, {"dBInstanceStatus": "creating"}, None),
            "fn": ({"functionName": f"arn:aws:lambda:{region}:{acct}:function:{self.zipf(self.roles)}"}, None, [{"accountId": acct, "type": "AWS::Lambda::Function", "ARN": f"arn:aws:lambda:{region}:{acct}:function:{self.zipf(self.roles)}"}]),
            "lookup": ({"lookupAttributes": [{"attributeKey": "EventName", "attributeValue": "RunInstances"}], "maxResults": 50}, None, None),
            "trail": ({"name": f"arn:aws:cloudtrail:{region}:{acct}:trail/org"}, None, [{"accountId": acct, "type": "AWS::CloudTrail::Trail", "ARN": f"arn:aws:cloudtrail:{region}:{acct}:trail/org"}]),
            "login": (None, {"ConsoleLogin": r.choice(["Success", "Success", "Failure"])}, None),
            "secret": ({"secretId": f"arn:aws:secretsmanager:{region}:{acct}:secret:{self.zipf(self.roles)}"}, None, None),
            "table": ({"tableName": f"tbl-{abs(hash_(b)) % 50}", "key": "HIDDEN_DUE_TO_SECURITY_REASONS"}, None, [{"accountId": acct, "type": "AWS::DynamoDB::Table", "ARN": f"arn:aws:dynamodb:{region}:{acct}:table/tbl-{abs(hash_(b)) % 50}"}]),
            "object": ({"bucketName": b, "Host": f"{b}.s3.{region}.amazonaws.com", "key": f"year=2026/part-{r.randint(0, 99999):05d}.parquet"}, {"x-amz-server-side-encryption": "AES256"} if r.random() < .3 else None,
                       [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{b}/year=2026/part-{r.randint(0, 99999):05d}.parquet"}, {"accountId": acct, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{b}"}]),
        }
        return P[shape]

    def record(self, t):
        r = self.rng
        svc, name, ro, _, cat, shape = r.choices(self.calls, weights=self.weights)[0]
        acct = self.zipf(self.accounts); region = pick(r, REGIONS)
        if svc in ("iam", "signin", "sts") and r.random() < .9:
            region = "us-east-1"
        req, resp, res = self.params(shape, acct, region, svc)
        who = self.identity(acct, t)
        rec = {"eventVersion": r.choice(["1.08", "1.09", "1.11"]), "userIdentity": who, "eventTime": iso(t), "eventSource": f"{svc}.amazonaws.com", "eventName": name,
               "awsRegion": region, "sourceIPAddress": who.get("invokedBy") or self.zipf(self.ips), "userAgent": self.zipf(AGENTS)}
        if r.random() < 0.06:
            code, msg = self.zipf(ERRORS)
            rec["errorCode"] = code; rec["errorMessage"] = msg.format(arn=who.get("arn", who["type"]), svc=svc, name=name); resp = None
        rec["requestParameters"] = req; rec["responseElements"] = None if ro else resp
        if cat == "Data" and svc == "s3":
            rec["additionalEventData"] = {"SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": 0, "AuthenticationMethod": "AuthHeader", "x-amz-id-2": "x" * 56, "bytesTransferredOut": r.randint(100, 10**7)}
        elif name == "ConsoleLogin":
            rec["additionalEventData"] = {"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": r.choice(["Yes", "No"])}
        rec["requestID"] = self.uid(); rec["eventID"] = self.uid(); rec["readOnly"] = ro
        if res: rec["resources"] = res
        rec["eventType"] = "AwsConsoleSignIn" if name == "ConsoleLogin" else "AwsApiCall"
        rec["managementEvent"] = cat == "Management"; rec["recipientAccountId"] = acct; rec["eventCategory"] = cat
        if who["type"] != "AWSService":
            rec["tlsDetails"] = {"tlsVersion": r.choice(["TLSv1.3", "TLSv1.3", "TLSv1.2"]), "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": f"{svc}.{region}.amazonaws.com"}
        return rec


def hash_(s):  # stable across runs, unlike hash()
    h = 1469598103934665603
    for ch in s.encode():
        h = ((h ^ ch) * 1099511628211) % 2**64
    return h


def iso(t):
    return dt.datetime.fromtimestamp(t, dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out"); ap.add_argument("--events", type=int, default=100_000); ap.add_argument("--days", type=float, default=7)
    ap.add_argument("--accounts", type=int, default=3); ap.add_argument("--first-account", type=int, default=111111111111); ap.add_argument("--seed", type=int, default=7); ap.add_argument("--per-file", type=int, default=2000)
    ap.add_argument("--min-file", type=int, default=100, help="a file is closed at the end of its five minutes once it holds this many")
    ap.add_argument("--data-share", type=float, default=0.3); ap.add_argument("--ndjson"); ap.add_argument("--end", default="2026-11-01T00:00:00Z"); ap.add_argument("--bucket-prefix", default="")
    a = ap.parse_args()
    if a.end == "now": a.end = iso(dt.datetime.now(dt.timezone.utc).timestamp())
    g = Gen(a); r = g.rng
    nd = None
    if a.ndjson:
        nd = gzip.open(a.ndjson, "wt", compresslevel=4) if a.ndjson.endswith(".gz") else open(a.ndjson, "w")
    open_files, files, total = {}, 0, 0

    def flush(k):
        nonlocal files
        acct, region, slot = k; recs = open_files.pop(k)
        d = dt.datetime.fromtimestamp(slot, dt.timezone.utc)
        p = os.path.join(a.out, a.bucket_prefix, "AWSLogs", acct, "CloudTrail", region, d.strftime("%Y/%m/%d"))
        os.makedirs(p, exist_ok=True)
        tag = "".join(r.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", k=16))
        with gzip.open(os.path.join(p, f"{acct}_CloudTrail_{region}_{d.strftime('%Y%m%dT%H%MZ')}_{tag}.json.gz"), "wb", compresslevel=6) as f:
            f.write(b'{"Records":[' + b",".join(recs) + b"]}")
        files += 1

    for i in range(a.events):
        t = int(g.end - g.span + g.span * (i + r.random()) / a.events)
        rec = g.record(t); line = json.dumps(rec, separators=(",", ":")).encode(); total += len(line)
        if nd: nd.write(line.decode() + "\n")
        k = (rec["recipientAccountId"], rec["awsRegion"], t - t % 300)
        k0 = (k[0], k[1])
        cur = next((x for x in open_files if (x[0], x[1]) == k0), None)
        if cur and (len(open_files[cur]) >= a.per_file or (cur[2] != k[2] and len(open_files[cur]) >= a.min_file)): flush(cur); cur = None
        open_files.setdefault(cur or k, []).append(line)
        if i % 100_000 == 0 and i: print(f"{i} events", file=sys.stderr)
    for k in list(open_files): flush(k)
    if nd: nd.close()
    print(f"{a.events} events, {total} bytes of JSON ({total/a.events:.0f} a record), {files} files")


if __name__ == "__main__":
    main()
