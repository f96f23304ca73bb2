//! Trails as answers show them: what is not set does not appear (TRL-048).

use cairn_api::cloudtrail::outputs::{CreateTrailResponse, UpdateTrailResponse};
use cairn_api::cloudtrail::structures::Trail as DescribedTrail;
use cairn_model::Trail;
use cairn_model::selectors::EventSelectors;

/// The flat form of CreateTrail.
pub(super) fn created(trail: Trail) -> CreateTrailResponse {
    let arn = trail.arn();
    let settings = trail.settings;
    let (group_arn, role_arn) = settings
        .log_group
        .map(|group| (group.arn, group.role_arn))
        .unzip();
    let (topic_name, topic_arn) = settings
        .sns_topic
        .map(|topic| (topic.given, topic.arn))
        .unzip();
    CreateTrailResponse {
        cloud_watch_logs_log_group_arn: group_arn,
        cloud_watch_logs_role_arn: role_arn,
        include_global_service_events: Some(settings.includes_global_service_events),
        is_multi_region_trail: Some(settings.is_multi_region),
        is_organization_trail: Some(settings.is_organization),
        kms_key_id: settings.kms_key_arn,
        log_file_validation_enabled: Some(settings.validates_log_files),
        name: Some(trail.name),
        // Every trail logs its own deliveries if its selectors take them.
        recursive_logging: None,
        s3_bucket_name: Some(settings.bucket),
        s3_key_prefix: settings.key_prefix,
        sns_topic_arn: topic_arn,
        sns_topic_name: topic_name,
        trail_arn: Some(arn),
    }
}

/// The same of UpdateTrail.
pub(super) fn updated(trail: Trail) -> UpdateTrailResponse {
    let CreateTrailResponse {
        cloud_watch_logs_log_group_arn,
        cloud_watch_logs_role_arn,
        include_global_service_events,
        is_multi_region_trail,
        is_organization_trail,
        kms_key_id,
        log_file_validation_enabled,
        name,
        recursive_logging,
        s3_bucket_name,
        s3_key_prefix,
        sns_topic_arn,
        sns_topic_name,
        trail_arn,
    } = created(trail);
    UpdateTrailResponse {
        cloud_watch_logs_log_group_arn,
        cloud_watch_logs_role_arn,
        include_global_service_events,
        is_multi_region_trail,
        is_organization_trail,
        kms_key_id,
        log_file_validation_enabled,
        name,
        recursive_logging,
        s3_bucket_name,
        s3_key_prefix,
        sns_topic_arn,
        sns_topic_name,
        trail_arn,
    }
}

/// The form of DescribeTrails and GetTrail (TRL-068, TRL-070).
pub(super) fn described(trail: Trail) -> DescribedTrail {
    let home_region = trail.home_region.to_string();
    // TRL-069: what equals the default is not custom, however it came there.
    let has_custom_selectors = trail.settings.event_selectors != EventSelectors::default();
    let has_insight_selectors = !trail.settings.insight_selectors.is_empty();
    let flat = created(trail);
    DescribedTrail {
        cloud_watch_logs_log_group_arn: flat.cloud_watch_logs_log_group_arn,
        cloud_watch_logs_role_arn: flat.cloud_watch_logs_role_arn,
        has_custom_event_selectors: Some(has_custom_selectors),
        has_insight_selectors: Some(has_insight_selectors),
        home_region: Some(home_region),
        include_global_service_events: flat.include_global_service_events,
        is_multi_region_trail: flat.is_multi_region_trail,
        is_organization_trail: flat.is_organization_trail,
        kms_key_id: flat.kms_key_id,
        log_file_validation_enabled: flat.log_file_validation_enabled,
        name: flat.name,
        recursive_logging: flat.recursive_logging,
        s3_bucket_name: flat.s3_bucket_name,
        s3_key_prefix: flat.s3_key_prefix,
        sns_topic_arn: flat.sns_topic_arn,
        sns_topic_name: flat.sns_topic_name,
        trail_arn: flat.trail_arn,
    }
}
