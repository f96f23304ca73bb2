//! Which members of `requestParameters` and `responseElements` name resources, and of which type.
//!
//! One flat table per service. A path leads through objects by name and through arrays element by element; `when`
//! restricts a rule to event names that contain it, where one member name means different things.
//! The types are those of the resource type reference that LookupEvents uses.

mod ec2;

pub(super) use ec2::ec2_type;

/// One member that names a resource.
pub(super) struct Rule {
    pub(super) path: &'static str,
    pub(super) resource_type: &'static str,
    pub(super) when: &'static str,
}

/// Stands for "the type that the identifier's prefix tells", see [`ec2_type`].
pub(super) const BY_EC2_IDENTIFIER: &str = "";

const fn rule(path: &'static str, resource_type: &'static str) -> Rule {
    Rule {
        path,
        resource_type,
        when: "",
    }
}

const fn rule_when(when: &'static str, path: &'static str, resource_type: &'static str) -> Rule {
    Rule {
        path,
        resource_type,
        when,
    }
}

/// The rules of an event source; none for services that are not in the table.
pub(super) fn rules_for(event_source: &str) -> &'static [Rule] {
    SERVICES
        .binary_search_by(|(source, _)| source.cmp(&event_source))
        .map_or(&[], |index| SERVICES[index].1)
}

/// Sorted by event source, for binary search.
const SERVICES: &[(&str, &[Rule])] = &[
    (
        "acm.amazonaws.com",
        &[rule(
            "certificateArn",
            "AWS::CertificateManager::Certificate",
        )],
    ),
    (
        "apigateway.amazonaws.com",
        &[rule("restApiId", "AWS::ApiGateway::RestApi")],
    ),
    (
        "athena.amazonaws.com",
        &[rule("workGroup", "AWS::Athena::WorkGroup")],
    ),
    (
        "autoscaling.amazonaws.com",
        &[
            rule("autoScalingGroupName", "AWS::AutoScaling::AutoScalingGroup"),
            rule(
                "autoScalingGroupNames",
                "AWS::AutoScaling::AutoScalingGroup",
            ),
            rule(
                "launchConfigurationName",
                "AWS::AutoScaling::LaunchConfiguration",
            ),
            rule("policyName", "AWS::AutoScaling::ScalingPolicy"),
            rule("instanceId", "AWS::EC2::Instance"),
            rule("instanceIds", "AWS::EC2::Instance"),
        ],
    ),
    (
        "backup.amazonaws.com",
        &[
            rule("backupVaultName", "AWS::Backup::BackupVault"),
            rule("backupPlanId", "AWS::Backup::BackupPlan"),
            rule("resourceArn", "AWS::Backup::ProtectedResource"),
        ],
    ),
    (
        "cloudformation.amazonaws.com",
        &[
            rule("stackName", "AWS::CloudFormation::Stack"),
            rule("stackId", "AWS::CloudFormation::Stack"),
            rule("stackSetName", "AWS::CloudFormation::StackSet"),
            rule("changeSetName", "AWS::CloudFormation::ChangeSet"),
        ],
    ),
    (
        "cloudfront.amazonaws.com",
        &[
            rule("distributionId", "AWS::CloudFront::Distribution"),
            rule_when("Distribution", "id", "AWS::CloudFront::Distribution"),
            rule("distribution.id", "AWS::CloudFront::Distribution"),
        ],
    ),
    (
        "cloudtrail.amazonaws.com",
        &[
            rule_when("Trail", "name", "AWS::CloudTrail::Trail"),
            rule_when("Logging", "name", "AWS::CloudTrail::Trail"),
            rule_when("EventDataStore", "name", "AWS::CloudTrail::EventDataStore"),
            rule_when("Channel", "name", "AWS::CloudTrail::Channel"),
            rule_when("Dashboard", "name", "AWS::CloudTrail::Dashboard"),
            rule("trailName", "AWS::CloudTrail::Trail"),
            rule("trailNameList", "AWS::CloudTrail::Trail"),
            rule("trailARN", "AWS::CloudTrail::Trail"),
            rule("eventDataStore", "AWS::CloudTrail::EventDataStore"),
            rule("eventDataStoreArn", "AWS::CloudTrail::EventDataStore"),
            rule("channel", "AWS::CloudTrail::Channel"),
            rule("channelArn", "AWS::CloudTrail::Channel"),
            rule("dashboardId", "AWS::CloudTrail::Dashboard"),
            rule("dashboardArn", "AWS::CloudTrail::Dashboard"),
            rule("s3BucketName", "AWS::S3::Bucket"),
            rule("snsTopicName", "AWS::SNS::Topic"),
            rule("cloudWatchLogsRoleArn", "AWS::IAM::Role"),
            rule("cloudWatchLogsLogGroupArn", "AWS::Logs::LogGroup"),
            rule("kmsKeyId", "AWS::KMS::Key"),
        ],
    ),
    (
        "codebuild.amazonaws.com",
        &[rule("projectName", "AWS::CodeBuild::Project")],
    ),
    (
        "codepipeline.amazonaws.com",
        &[
            rule("pipelineName", "AWS::CodePipeline::Pipeline"),
            rule_when("Pipeline", "name", "AWS::CodePipeline::Pipeline"),
            rule("pipeline.name", "AWS::CodePipeline::Pipeline"),
        ],
    ),
    (
        "cognito-idp.amazonaws.com",
        &[
            rule("userPoolId", "AWS::Cognito::UserPool"),
            rule("clientId", "AWS::Cognito::UserPoolClient"),
        ],
    ),
    (
        "config.amazonaws.com",
        &[
            rule("configRuleName", "AWS::Config::ConfigRule"),
            rule("configRuleNames", "AWS::Config::ConfigRule"),
            rule("configRule.configRuleName", "AWS::Config::ConfigRule"),
            rule(
                "configurationRecorderName",
                "AWS::Config::ConfigurationRecorder",
            ),
            rule("deliveryChannelName", "AWS::Config::DeliveryChannel"),
        ],
    ),
    (
        "dynamodb.amazonaws.com",
        &[
            rule("tableName", "AWS::DynamoDB::Table"),
            rule("tableArn", "AWS::DynamoDB::Table"),
            rule("tableDescription.tableArn", "AWS::DynamoDB::Table"),
            rule("globalTableName", "AWS::DynamoDB::GlobalTable"),
            rule("backupArn", "AWS::DynamoDB::Backup"),
        ],
    ),
    ("ec2.amazonaws.com", ec2::RULES),
    (
        "ecr.amazonaws.com",
        &[
            rule("repositoryName", "AWS::ECR::Repository"),
            rule("repositoryNames", "AWS::ECR::Repository"),
            rule("repository.repositoryArn", "AWS::ECR::Repository"),
        ],
    ),
    (
        "ecs.amazonaws.com",
        &[
            rule("cluster", "AWS::ECS::Cluster"),
            rule("clusterName", "AWS::ECS::Cluster"),
            rule("service", "AWS::ECS::Service"),
            rule("serviceName", "AWS::ECS::Service"),
            rule("taskDefinition", "AWS::ECS::TaskDefinition"),
            rule("task", "AWS::ECS::Task"),
        ],
    ),
    (
        "eks.amazonaws.com",
        &[
            rule_when("Cluster", "name", "AWS::EKS::Cluster"),
            rule("clusterName", "AWS::EKS::Cluster"),
            rule("nodegroupName", "AWS::EKS::Nodegroup"),
            rule("addonName", "AWS::EKS::Addon"),
        ],
    ),
    (
        "elasticache.amazonaws.com",
        &[
            rule("cacheClusterId", "AWS::ElastiCache::CacheCluster"),
            rule("replicationGroupId", "AWS::ElastiCache::ReplicationGroup"),
        ],
    ),
    (
        "elasticfilesystem.amazonaws.com",
        &[rule("fileSystemId", "AWS::EFS::FileSystem")],
    ),
    (
        "elasticloadbalancing.amazonaws.com",
        &[
            rule(
                "loadBalancerName",
                "AWS::ElasticLoadBalancing::LoadBalancer",
            ),
            rule(
                "loadBalancerArn",
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
            ),
            rule(
                "loadBalancers.loadBalancerArn",
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
            ),
            rule("targetGroupArn", "AWS::ElasticLoadBalancingV2::TargetGroup"),
            rule(
                "targetGroups.targetGroupArn",
                "AWS::ElasticLoadBalancingV2::TargetGroup",
            ),
            rule("listenerArn", "AWS::ElasticLoadBalancingV2::Listener"),
        ],
    ),
    (
        "events.amazonaws.com",
        &[
            rule_when("Rule", "name", "AWS::Events::Rule"),
            rule("rule", "AWS::Events::Rule"),
            rule("ruleArn", "AWS::Events::Rule"),
            rule("eventBusName", "AWS::Events::EventBus"),
        ],
    ),
    (
        "firehose.amazonaws.com",
        &[
            rule("deliveryStreamName", "AWS::KinesisFirehose::DeliveryStream"),
            rule("deliveryStreamARN", "AWS::KinesisFirehose::DeliveryStream"),
        ],
    ),
    (
        "glue.amazonaws.com",
        &[
            rule("databaseName", "AWS::Glue::Database"),
            rule("tableName", "AWS::Glue::Table"),
            rule("jobName", "AWS::Glue::Job"),
            rule("crawlerName", "AWS::Glue::Crawler"),
        ],
    ),
    (
        "guardduty.amazonaws.com",
        &[rule("detectorId", "AWS::GuardDuty::Detector")],
    ),
    ("iam.amazonaws.com", IAM),
    (
        "kinesis.amazonaws.com",
        &[
            rule("streamName", "AWS::Kinesis::Stream"),
            rule("streamARN", "AWS::Kinesis::Stream"),
        ],
    ),
    (
        "kms.amazonaws.com",
        &[
            rule("keyId", "AWS::KMS::Key"),
            rule("targetKeyId", "AWS::KMS::Key"),
            rule("keyMetadata.keyId", "AWS::KMS::Key"),
            rule("keyMetadata.arn", "AWS::KMS::Key"),
            rule("aliasName", "AWS::KMS::Alias"),
        ],
    ),
    (
        "lambda.amazonaws.com",
        &[
            rule("functionName", "AWS::Lambda::Function"),
            rule("functionArn", "AWS::Lambda::Function"),
            rule("layerName", "AWS::Lambda::LayerVersion"),
            rule("uUID", "AWS::Lambda::EventSourceMapping"),
        ],
    ),
    (
        "logs.amazonaws.com",
        &[
            rule("logGroupName", "AWS::Logs::LogGroup"),
            rule("logGroupIdentifier", "AWS::Logs::LogGroup"),
            rule("logStreamName", "AWS::Logs::LogStream"),
            rule("destinationName", "AWS::Logs::Destination"),
        ],
    ),
    (
        "monitoring.amazonaws.com",
        &[
            rule("alarmName", "AWS::CloudWatch::Alarm"),
            rule("alarmNames", "AWS::CloudWatch::Alarm"),
            rule("dashboardName", "AWS::CloudWatch::Dashboard"),
        ],
    ),
    (
        "organizations.amazonaws.com",
        &[
            rule("accountId", "AWS::Organizations::Account"),
            rule("policyId", "AWS::Organizations::Policy"),
            rule(
                "organizationalUnitId",
                "AWS::Organizations::OrganizationalUnit",
            ),
        ],
    ),
    (
        "rds.amazonaws.com",
        &[
            rule("dBInstanceIdentifier", "AWS::RDS::DBInstance"),
            rule("dBInstanceArn", "AWS::RDS::DBInstance"),
            rule("dBClusterIdentifier", "AWS::RDS::DBCluster"),
            rule("dBClusterArn", "AWS::RDS::DBCluster"),
            rule("dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"),
            rule("dBClusterSnapshotIdentifier", "AWS::RDS::DBClusterSnapshot"),
            rule("dBSubnetGroupName", "AWS::RDS::DBSubnetGroup"),
            rule("dBParameterGroupName", "AWS::RDS::DBParameterGroup"),
            rule("dBSecurityGroupName", "AWS::RDS::DBSecurityGroup"),
            rule("optionGroupName", "AWS::RDS::OptionGroup"),
        ],
    ),
    (
        "redshift.amazonaws.com",
        &[
            rule("clusterIdentifier", "AWS::Redshift::Cluster"),
            rule("snapshotIdentifier", "AWS::Redshift::ClusterSnapshot"),
        ],
    ),
    (
        "route53.amazonaws.com",
        &[rule("hostedZoneId", "AWS::Route53::HostedZone")],
    ),
    ("s3.amazonaws.com", &[rule("bucketName", "AWS::S3::Bucket")]),
    (
        "sagemaker.amazonaws.com",
        &[
            rule("notebookInstanceName", "AWS::SageMaker::NotebookInstance"),
            rule("modelName", "AWS::SageMaker::Model"),
            rule("endpointName", "AWS::SageMaker::Endpoint"),
            rule("trainingJobName", "AWS::SageMaker::TrainingJob"),
        ],
    ),
    (
        "secretsmanager.amazonaws.com",
        &[
            rule("secretId", "AWS::SecretsManager::Secret"),
            rule_when("CreateSecret", "name", "AWS::SecretsManager::Secret"),
            rule("aRN", "AWS::SecretsManager::Secret"),
            rule("arn", "AWS::SecretsManager::Secret"),
        ],
    ),
    (
        "sns.amazonaws.com",
        &[
            rule("topicArn", "AWS::SNS::Topic"),
            rule_when("CreateTopic", "name", "AWS::SNS::Topic"),
            rule("subscriptionArn", "AWS::SNS::Subscription"),
        ],
    ),
    (
        "sqs.amazonaws.com",
        &[
            rule("queueUrl", "AWS::SQS::Queue"),
            rule("queueName", "AWS::SQS::Queue"),
        ],
    ),
    (
        "ssm.amazonaws.com",
        &[
            rule_when("Parameter", "name", "AWS::SSM::Parameter"),
            rule_when("Parameter", "names", "AWS::SSM::Parameter"),
            rule_when("Document", "name", "AWS::SSM::Document"),
            rule("documentName", "AWS::SSM::Document"),
            rule("instanceId", "AWS::EC2::Instance"),
            rule("instanceIds", "AWS::EC2::Instance"),
        ],
    ),
    (
        "states.amazonaws.com",
        &[
            rule("stateMachineArn", "AWS::StepFunctions::StateMachine"),
            rule("executionArn", "AWS::StepFunctions::Execution"),
        ],
    ),
    (
        "sts.amazonaws.com",
        &[
            rule("roleArn", "AWS::IAM::Role"),
            rule("roleSessionName", "AWS::STS::AssumedRole"),
            rule("assumedRoleUser.assumedRoleId", "AWS::STS::AssumedRole"),
            rule("assumedRoleUser.arn", "AWS::STS::AssumedRole"),
            rule("federatedUser.arn", "AWS::STS::FederatedUser"),
            rule("credentials.accessKeyId", "AWS::IAM::AccessKey"),
        ],
    ),
    (
        "wafv2.amazonaws.com",
        &[rule_when("WebACL", "name", "AWS::WAFv2::WebACL")],
    ),
];

const IAM: &[Rule] = &[
    rule("userName", "AWS::IAM::User"),
    rule("user.userName", "AWS::IAM::User"),
    rule("user.arn", "AWS::IAM::User"),
    rule("roleName", "AWS::IAM::Role"),
    rule("role.arn", "AWS::IAM::Role"),
    rule("groupName", "AWS::IAM::Group"),
    rule("group.arn", "AWS::IAM::Group"),
    rule("policyArn", "AWS::IAM::Policy"),
    rule("policyName", "AWS::IAM::Policy"),
    rule("policy.arn", "AWS::IAM::Policy"),
    rule("accessKeyId", "AWS::IAM::AccessKey"),
    rule("accessKey.accessKeyId", "AWS::IAM::AccessKey"),
    rule("instanceProfileName", "AWS::IAM::InstanceProfile"),
    rule("instanceProfile.arn", "AWS::IAM::InstanceProfile"),
    rule("serialNumber", "AWS::IAM::MfaDevice"),
    rule("virtualMFADeviceName", "AWS::IAM::MfaDevice"),
    rule("serverCertificateName", "AWS::IAM::ServerCertificate"),
    rule("sAMLProviderArn", "AWS::IAM::SAMLProvider"),
    rule("openIDConnectProviderArn", "AWS::IAM::OIDCProvider"),
];

#[cfg(test)]
mod tests {
    use super::{SERVICES, ec2_type, rules_for};

    #[test]
    fn every_service_of_the_table_is_found_and_strangers_have_no_rules() {
        for (source, rules) in SERVICES {
            assert_eq!(
                rules_for(source).len(),
                rules.len(),
                "{source} is out of order"
            );
            assert!(!rules.is_empty());
        }
        assert!(rules_for("unheard-of.amazonaws.com").is_empty());
        assert!(rules_for("").is_empty());
    }

    #[test]
    fn ec2_identifiers_tell_their_type() {
        assert_eq!(ec2_type("i-0e683f0d797a845ab"), Some("AWS::EC2::Instance"));
        assert_eq!(
            ec2_type("tgw-attach-0a1"),
            Some("AWS::EC2::TransitGatewayAttachment")
        );
        assert_eq!(ec2_type("tgw-0a1"), Some("AWS::EC2::TransitGateway"));
        assert_eq!(ec2_type("resource"), None);
        assert_eq!(ec2_type("unknown-1"), None);
    }
}
