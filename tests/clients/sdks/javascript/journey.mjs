// One journey with the AWS SDK for JavaScript. The environment says where and who, as for any AWS
// client; JOURNEY_HTTP is 1 or 2, JOURNEY_TRAIL and JOURNEY_BUCKET name a trail to make and its bucket.
// Prints what the SDK understood, as JSON.

import {
  AddTagsCommand,
  CloudTrailClient,
  CreateTrailCommand,
  DeleteTrailCommand,
  DescribeTrailsCommand,
  GetEventSelectorsCommand,
  GetTrailCommand,
  GetTrailStatusCommand,
  ListChannelsCommand,
  ListTagsCommand,
  PutEventSelectorsCommand,
  StartLoggingCommand,
  StopLoggingCommand,
  paginateLookupEvents,
} from "@aws-sdk/client-cloudtrail";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { NodeHttp2Handler, NodeHttpHandler } from "@smithy/node-http-handler";

const settings = {
  requestHandler: process.env.JOURNEY_HTTP === "2" ? new NodeHttp2Handler() : new NodeHttpHandler(),
  maxAttempts: 1,
};

async function nameOfError(call) {
  try {
    await call();
  } catch (error) {
    return { name: error.name, status: error.$metadata?.httpStatusCode };
  }
  return null;
}

// The life of a trail, from its making to the error that it is not there.
async function lifeOfATrail(client, name, bucket) {
  const made = await client.send(
    new CreateTrailCommand({
      Name: name,
      S3BucketName: bucket,
      EnableLogFileValidation: true,
      TagsList: [{ Key: "Team", Value: "audit" }],
    }),
  );
  const arn = made.TrailARN;
  await client.send(new StartLoggingCommand({ Name: arn }));
  const started = await client.send(new GetTrailStatusCommand({ Name: name }));
  await client.send(
    new PutEventSelectorsCommand({
      TrailName: name,
      AdvancedEventSelectors: [
        {
          Name: "Objects of one bucket",
          FieldSelectors: [
            { Field: "eventCategory", Equals: ["Data"] },
            { Field: "resources.type", Equals: ["AWS::S3::Object"] },
            { Field: "resources.ARN", StartsWith: ["arn:aws:s3:::watched/"] },
          ],
        },
      ],
    }),
  );
  const selectors = await client.send(new GetEventSelectorsCommand({ TrailName: arn }));
  const tag = { Key: "environment", Value: "dev" };
  await client.send(new AddTagsCommand({ ResourceId: arn, TagsList: [tag] }));
  const tags = await client.send(new ListTagsCommand({ ResourceIdList: [arn] }));
  const described = await client.send(new DescribeTrailsCommand({ trailNameList: [arn] }));
  await client.send(new StopLoggingCommand({ Name: name }));
  const stopped = await client.send(new GetTrailStatusCommand({ Name: arn }));
  await client.send(new DeleteTrailCommand({ Name: arn }));
  return {
    arn,
    validates: made.LogFileValidationEnabled,
    described: described.trailList.map((trail) => [trail.Name, trail.HasCustomEventSelectors]),
    conditions: selectors.AdvancedEventSelectors[0].FieldSelectors.map((condition) => [
      condition.Field,
      condition.Equals ?? condition.StartsWith,
    ]),
    tags: tags.ResourceTagList[0].TagsList.map((listed) => [listed.Key, listed.Value]),
    logging: [started.IsLogging, stopped.IsLogging],
    seconds: [started.StartLoggingTime, stopped.StopLoggingTime].map((time) =>
      Math.floor(time.getTime() / 1000),
    ),
    texts: [started.TimeLoggingStarted, started.TimeLoggingStopped, stopped.TimeLoggingStopped],
    gone: await nameOfError(() => client.send(new GetTrailCommand({ Name: name }))),
  };
}

const cloudtrail = new CloudTrailClient(settings);
const sts = new STSClient(settings);
const events = [];
const question = {
  LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "CreateUser" }],
  StartTime: new Date(Date.now() - 3_600_000),
  EndTime: new Date(Date.now() + 60_000),
};
for await (const page of paginateLookupEvents({ client: cloudtrail, pageSize: 2 }, question)) {
  for (const event of page.Events) {
    events.push({
      id: event.EventId,
      seconds: event.EventTime.getTime() / 1000,
      username: event.Username,
      resources: event.Resources.map((resource) => resource.ResourceName),
      record: event.CloudTrailEvent,
    });
  }
}
const channels = new ListChannelsCommand({});
const stranger = new CloudTrailClient({
  ...settings,
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: "not the secret" },
});
console.log(
  JSON.stringify({
    arn: (await sts.send(new GetCallerIdentityCommand({}))).Arn,
    events,
    trail: await lifeOfATrail(cloudtrail, process.env.JOURNEY_TRAIL, process.env.JOURNEY_BUCKET),
    unbuilt: await nameOfError(() => cloudtrail.send(channels)),
    forged: await nameOfError(() => stranger.send(channels)),
  }),
);
settings.requestHandler.destroy();
