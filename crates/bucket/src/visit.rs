//! What the endpoint and the operations tell each other about one request.

use std::sync::{Arc, OnceLock};

use cairn_model::{AccountId, Region};

use crate::gatekeeper::{BucketFacts, Caller};
use crate::operation::Access;
use crate::payload::PayloadReport;

/// One authenticated request, from its head to the gatekeeper's note of it.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) caller: Caller,
    /// The caller's account; None for a service.
    pub(crate) account: Option<AccountId>,
    /// The Region of the credential scope.
    pub(crate) region: Region,
    /// What the caller was, or was not, authorized for.
    pub(crate) admitted: OnceLock<Access>,
    /// The bucket that the request is about, if there is one.
    pub(crate) bucket: OnceLock<BucketFacts>,
    /// What came of the body.
    pub(crate) report: Arc<PayloadReport>,
    /// What broke in the endpoint itself.
    pub(crate) defect: OnceLock<String>,
}

impl Visit {
    /// Notes what broke; the first defect counts.
    pub(crate) fn note_defect(&self, defect: String) {
        // A later one follows from the first.
        let _ = self.defect.set(defect);
    }
}
