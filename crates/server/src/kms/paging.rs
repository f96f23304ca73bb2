//! `Limit`, `Marker`, `Truncated` and `NextMarker`. A marker names the last item of its page, so pages stay whole while
//! items come and go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::error::{KmsError, KmsErrorCode};
use super::input::KmsInput;

/// A page to be made.
#[derive(Debug)]
pub(super) struct Page {
    /// The last item of the page before; empty for the first.
    pub(super) after: String,
    items_max: u32,
}

impl Page {
    /// The page that the call asks for, of `items` if it does not say.
    pub(super) fn of(input: &KmsInput, items: u32) -> Result<Self, KmsError> {
        let invalid = || KmsError::new(KmsErrorCode::InvalidMarker, "Invalid marker");
        let after = match input.text("Marker") {
            None => String::new(),
            Some(marker) => {
                let bytes = URL_SAFE_NO_PAD.decode(marker).map_err(|_| invalid())?;
                String::from_utf8(bytes).map_err(|_| invalid())?
            }
        };
        Ok(Self {
            after,
            items_max: input.number("Limit").unwrap_or(items),
        })
    }

    /// How many items are to be read: one more than the page holds tells whether there are more.
    pub(super) fn reads(&self) -> u32 {
        self.items_max.saturating_add(1)
    }

    /// The answer, from the items behind `after`, in the order of their names.
    pub(super) fn answer<T>(
        &self,
        name: &str,
        mut items: Vec<T>,
        key: impl Fn(&T) -> &str,
        shape: impl Fn(&T) -> Value,
    ) -> Value {
        let items_max = usize::try_from(self.items_max).unwrap_or(usize::MAX);
        let is_truncated = items.len() > items_max;
        items.truncate(items_max);
        let shown: Vec<Value> = items.iter().map(shape).collect();
        let mut answer = json!({name: shown, "Truncated": is_truncated});
        if let Some(last) = items.last().filter(|_| is_truncated) {
            answer["NextMarker"] = URL_SAFE_NO_PAD.encode(key(last)).into();
        }
        answer
    }
}
