//! EC2: its identifiers tell their type by prefix, so most rules need not name it.

use super::{BY_EC2_IDENTIFIER, Rule, rule};

pub(super) const RULES: &[Rule] = &[
    ec2("instancesSet.items.instanceId"),
    ec2("instancesSet.items.imageId"),
    ec2("instancesSet.items.subnetId"),
    ec2("instancesSet.items.vpcId"),
    ec2("instancesSet.items.groupSet.items.groupId"),
    ec2("instancesSet.items.networkInterfaceSet.items.networkInterfaceId"),
    rule("instancesSet.items.keyName", "AWS::EC2::KeyPair"),
    rule(
        "instancesSet.items.groupSet.items.groupName",
        "AWS::EC2::SecurityGroup",
    ),
    ec2("instanceId"),
    ec2("imageId"),
    ec2("imagesSet.items.imageId"),
    ec2("resourcesSet.items.resourceId"),
    ec2("groupId"),
    ec2("groupSet.items.groupId"),
    ec2("securityGroupIdSet.items.groupId"),
    ec2("securityGroupRuleSet.items.securityGroupRuleId"),
    rule("groupName", "AWS::EC2::SecurityGroup"),
    rule("keyName", "AWS::EC2::KeyPair"),
    rule("keySet.items.keyName", "AWS::EC2::KeyPair"),
    ec2("vpcId"),
    ec2("vpc.vpcId"),
    ec2("vpcSet.items.vpcId"),
    ec2("subnetId"),
    ec2("subnet.subnetId"),
    ec2("subnetSet.items.subnetId"),
    ec2("volumeId"),
    ec2("volumeSet.items.volumeId"),
    ec2("snapshotId"),
    ec2("snapshotSet.items.snapshotId"),
    ec2("networkInterfaceId"),
    ec2("networkInterface.networkInterfaceId"),
    ec2("networkInterfaceIdSet.items.networkInterfaceId"),
    ec2("routeTableId"),
    ec2("routeTable.routeTableId"),
    ec2("internetGatewayId"),
    ec2("internetGateway.internetGatewayId"),
    ec2("natGatewayId"),
    ec2("CreateNatGatewayRequest.SubnetId"),
    ec2("CreateNatGatewayResponse.natGateway.natGatewayId"),
    ec2("DeleteNatGatewayRequest.NatGatewayId"),
    ec2("networkAclId"),
    ec2("networkAcl.networkAclId"),
    ec2("allocationId"),
    ec2("vpcEndpointId"),
    ec2("CreateVpcEndpointRequest.VpcId"),
    ec2("CreateVpcEndpointResponse.vpcEndpoint.vpcEndpointId"),
    ec2("DeleteVpcEndpointsRequest.VpcEndpointId.content"),
    ec2("CreateFlowLogsRequest.ResourceId.content"),
    ec2("vpcPeeringConnectionId"),
    ec2("vpcPeeringConnection.vpcPeeringConnectionId"),
    ec2("vpnGatewayId"),
    ec2("customerGatewayId"),
    ec2("dhcpOptionsId"),
    ec2("launchTemplateId"),
    ec2("CreateLaunchTemplateResponse.launchTemplate.launchTemplateId"),
    ec2("DescribeLaunchTemplateVersionsRequest.LaunchTemplateId"),
    ec2("DeleteLaunchTemplateRequest.LaunchTemplateId"),
    ec2("transitGatewayId"),
    rule("iamInstanceProfile.arn", "AWS::IAM::InstanceProfile"),
    rule("iamInstanceProfile.name", "AWS::IAM::InstanceProfile"),
];

const fn ec2(path: &'static str) -> Rule {
    rule(path, BY_EC2_IDENTIFIER)
}

/// The type of the resource that an EC2 identifier such as `sg-0a1b2c3d` names.
pub(in crate::lookup) fn ec2_type(identifier: &str) -> Option<&'static str> {
    let (prefix, _) = identifier.rsplit_once('-')?;
    EC2_PREFIXES
        .iter()
        .find(|(known, _)| *known == prefix)
        .map(|(_, resource_type)| *resource_type)
}

const EC2_PREFIXES: &[(&str, &str)] = &[
    ("i", "AWS::EC2::Instance"),
    ("ami", "AWS::EC2::Ami"),
    ("vpc", "AWS::EC2::VPC"),
    ("subnet", "AWS::EC2::Subnet"),
    ("sg", "AWS::EC2::SecurityGroup"),
    ("sgr", "AWS::EC2::SecurityGroupRule"),
    ("eni", "AWS::EC2::NetworkInterface"),
    ("vol", "AWS::EC2::Volume"),
    ("snap", "AWS::EC2::Snapshot"),
    ("rtb", "AWS::EC2::RouteTable"),
    ("igw", "AWS::EC2::InternetGateway"),
    ("eigw", "AWS::EC2::EgressOnlyInternetGateway"),
    ("nat", "AWS::EC2::NatGateway"),
    ("acl", "AWS::EC2::NetworkAcl"),
    ("eipalloc", "AWS::EC2::EIP"),
    ("vpce", "AWS::EC2::VPCEndpoint"),
    ("vpce-svc", "AWS::EC2::VPCEndpointService"),
    ("pcx", "AWS::EC2::VPCPeeringConnection"),
    ("vgw", "AWS::EC2::VPNGateway"),
    ("vpn", "AWS::EC2::VPNConnection"),
    ("cgw", "AWS::EC2::CustomerGateway"),
    ("dopt", "AWS::EC2::DHCPOptions"),
    ("lt", "AWS::EC2::LaunchTemplate"),
    ("tgw", "AWS::EC2::TransitGateway"),
    ("tgw-attach", "AWS::EC2::TransitGatewayAttachment"),
    ("tgw-rtb", "AWS::EC2::TransitGatewayRouteTable"),
    ("fl", "AWS::EC2::FlowLog"),
    ("pl", "AWS::EC2::PrefixList"),
    ("h", "AWS::EC2::Host"),
    ("fleet", "AWS::EC2::EC2Fleet"),
    ("key", "AWS::EC2::KeyPair"),
];
