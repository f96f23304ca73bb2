"""Advanced event selectors as the manual has them, and what the tests need to write more."""


def field(name: str, **operators: list[str]) -> dict:
    """A condition of an advanced selector."""
    return {"Field": name} | operators


def of(name: str, category: str, *fields: dict) -> dict:
    """An advanced selector."""
    return {"Name": name, "FieldSelectors": [field("eventCategory", Equals=[category]), *fields]}


MANAGEMENT = of("Management events selector", "Management")
S3_TYPE = field("resources.type", Equals=["AWS::S3::Object"])
#: The manual's examples: SEL-143 to SEL-145, and the worked one of TRL-109.
FIXTURES = {
    "all management": [of("Log all management events", "Management")],
    "all but KMS": [
        of("Log all management events except KMS events", "Management",
           field("eventSource", NotEquals=["kms.amazonaws.com"])),
    ],
    "all but the RDS Data API": [
        of("No RDS Data API", "Management",
           field("eventSource", NotEquals=["rdsdata.amazonaws.com"])),
    ],
    "worked example": [
        of("Log readOnly and writeOnly management events", "Management"),
        of("Log PutObject and DeleteObject events for all but one bucket", "Data", S3_TYPE,
           field("eventName", Equals=["PutObject", "DeleteObject"]),
           field("resources.ARN", NotStartsWith=["arn:aws:s3:::bucket-name/"])),
        of("Log data plane actions on MyLambdaFunction", "Data",
           field("resources.type", Equals=["AWS::Lambda::Function"]),
           field("resources.ARN",
                 Equals=["arn:aws:lambda:us-east-2:123456789012:function/MyLambdaFunction"])),
        of("Audit AccessDenied KMS events from callers through a VPC endpoint", "NetworkActivity",
           field("eventSource", Equals=["kms.amazonaws.com"]),
           field("errorCode", Equals=["VpceAccessDenied"])),
    ],
    "one bucket": [
        of("S3 one bucket", "Data", S3_TYPE,
           field("resources.ARN", StartsWith=["arn:aws:s3:::amzn-s3-demo-bucket/"])),
    ],
    "Outposts": [
        of("S3 on Outposts", "Data",
           field("resources.type", Equals=["AWS::S3Outposts::Object"])),
    ],
    "Cognito": [
        of("Cognito", "Data", field("resources.type", Equals=["AWS::Cognito::IdentityPool"])),
    ],
    "three names": [
        of("three names", "Data", S3_TYPE,
           field("eventName", Equals=["GetObject", "PutObject", "DeleteObject"])),
    ],
    "without a role": [
        of("without a role", "Data", S3_TYPE,
           field("resources.ARN", StartsWith=["arn:aws:s3:::amzn-s3-demo-bucket/"]),
           field("userIdentity.arn",
                 NotStartsWith=["arn:aws:sts::123456789012:assumed-role/Role/"])),
    ],
    "deletions": [
        of("deletions", "Data", S3_TYPE, field("eventName", Equals=["DeleteObject"])),
        of("", "Data", S3_TYPE, field("eventName", Equals=["DeleteObjects"])),
    ],
    "network": [
        of("all of CloudTrail", "NetworkActivity",
           field("eventSource", Equals=["cloudtrail.amazonaws.com"])),
        of("denied at KMS", "NetworkActivity",
           field("eventSource", Equals=["kms.amazonaws.com"]),
           field("errorCode", Equals=["VpceAccessDenied"])),
        of("denied at S3", "NetworkActivity",
           field("eventSource", Equals=["s3.amazonaws.com"]),
           field("errorCode", Equals=["VpceAccessDenied"])),
        of("one endpoint", "NetworkActivity",
           field("eventSource", Equals=["ec2.amazonaws.com"]),
           field("errorCode", Equals=["VpceAccessDenied"]),
           field("vpcEndpointId", Equals=["vpce-example8c1b6b9b7"])),
    ],
    "everything": [
        MANAGEMENT,
        *(
            of(source, "NetworkActivity", field("eventSource", Equals=[f"{source}.amazonaws.com"]))
            for source in ("cloudtrail", "ec2", "kms", "s3", "secretsmanager")
        ),
    ],
    "every operator, no name": [
        {
            "FieldSelectors": [
                field("eventCategory", Equals=["Data"]),
                S3_TYPE,
                field(
                    "eventName",
                    Equals=["b", "a"],
                    StartsWith=["d", "c"],
                    EndsWith=["e"],
                    NotEquals=["f"],
                    NotStartsWith=["g"],
                    NotEndsWith=["h"],
                ),
                field("sessionCredentialFromConsole", NotEquals=["true"]),
            ]
        }
    ],
}
