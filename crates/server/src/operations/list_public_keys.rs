//! ListPublicKeys: the keys whose digests a time range can hold, of the Region of the call (REC-264 to REC-270).
//!
//! All of them in one answer: validate-logs reads no second page, and a Region gets a few keys a year.

use cairn_api::cloudtrail::inputs::ListPublicKeysRequest;
use cairn_api::cloudtrail::outputs::ListPublicKeysResponse;
use cairn_api::cloudtrail::structures::PublicKey;
use cairn_api::{ApiError, Blob, ErrorCode, Timestamp};
use cairn_catalog::trails::{PublicSigningKey, ReadTrails};

use super::Request;
use super::trails::{Trails, catalog_failure};

impl Trails {
    pub(super) async fn list_public_keys(
        &self,
        request: Request<'_>,
    ) -> Result<ListPublicKeysResponse, ApiError> {
        let input: ListPublicKeysRequest = cairn_api::request::typed(request.input.clone())?;
        if input.next_token.is_some() {
            let message = "The next token is invalid: it is reserved for future use.";
            return Err(ApiError::new(ErrorCode::InvalidTokenException, message));
        }
        // REC-264: what is not given is now.
        let now_ms = self.clock.now_ms();
        let millis = |time: Timestamp| time.as_micros().div_euclid(1000);
        let from_ms = input.start_time.map_or(now_ms, millis);
        let to_ms = input.end_time.map_or(now_ms, millis);
        if from_ms > to_ms {
            let message =
                "The specified time range is not valid: the start time is after the end time.";
            return Err(ApiError::new(ErrorCode::InvalidTimeRangeException, message));
        }
        let mut read = self.read().await?;
        let keys = read
            .trails()
            .signing_keys(request.region, from_ms, to_ms)
            .await;
        let keys = keys.map_err(catalog_failure)?;
        Ok(ListPublicKeysResponse {
            next_token: None,
            public_key_list: Some(keys.into_iter().map(shown).collect()),
        })
    }
}

fn shown(key: PublicSigningKey) -> PublicKey {
    let time = |time_ms: i64| Some(Timestamp::from_micros(time_ms.saturating_mul(1000)));
    PublicKey {
        fingerprint: Some(key.fingerprint),
        validity_start_time: time(key.valid_from_ms),
        validity_end_time: time(key.valid_to_ms),
        value: Some(Blob(key.public_key)),
    }
}
