//! AWS's Query protocol, which IAM and STS speak: a form-encoded request, an XML answer.
//!
//! One table row per operation (`iam::OPERATIONS`, `sts::OPERATIONS`) says what its parameters are, what
//! is authorized, how it is recorded and what runs. An answer is one tree of values, rendered twice: as
//! XML for the caller and as JSON for the record of the call. Authenticating, deciding and recording are
//! the pipeline's.

mod answer;
mod error;
mod input;
mod operation;
mod parameters;

pub(crate) use answer::lower_camel;
pub use answer::{CrossAccountCopy, Fields, QueryAnswer, RecordedResource, Shape};
pub use error::{QueryError, QueryErrorCode, error_xml};
pub use input::{QueryInput, QueryRequest};
pub use operation::{
    AuthorizationTarget, Caller, QueryOperation, QueryService, ReadCall, ResourceRule, Run,
    Running, World, WriteCall,
};
pub(crate) use parameters::check_text;
pub use parameters::{Parameter, ParameterKind, Pattern};

#[cfg(test)]
pub(crate) mod tests;
