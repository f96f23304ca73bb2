// One journey with the AWS SDK for JavaScript. The environment says where and who, as for any AWS
// client; JOURNEY_HTTP is 1 or 2. Prints what the SDK understood, as JSON.

import {
  CloudTrailClient,
  ListChannelsCommand,
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
    unbuilt: await nameOfError(() => cloudtrail.send(channels)),
    forged: await nameOfError(() => stranger.send(channels)),
  }),
);
settings.requestHandler.destroy();
