//! `Marker`, `MaxItems` and `IsTruncated`. A marker names the last item of its page, so pages stay
//! whole while items come and go.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::query_protocol::{Fields, QueryError, QueryErrorCode, QueryInput, Shape};

/// IAM's default page.
const PAGE_ITEMS: usize = 100;

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    marker: Option<String>,
}

/// The page that the call asks for. `key` orders the items and tells them apart.
pub(super) fn page<T>(
    mut items: Vec<T>,
    input: &QueryInput,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>, QueryError> {
    items.sort_by_cached_key(&key);
    if let Some(marker) = input.text("Marker") {
        let after = opened(marker)
            .ok_or_else(|| QueryError::new(QueryErrorCode::ValidationError, "Invalid Marker."))?;
        items.retain(|item| key(item) > after);
    }
    let asked = input
        .number("MaxItems")
        .and_then(|asked| usize::try_from(asked).ok());
    let items_max = asked.unwrap_or(PAGE_ITEMS);
    let truncated = items.len() > items_max;
    items.truncate(items_max);
    let marker = items
        .last()
        .filter(|_| truncated)
        .map(|last| URL_SAFE_NO_PAD.encode(key(last)));
    Ok(Page { items, marker })
}

fn opened(marker: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()
}

impl<T> Page<T> {
    /// `IsTruncated`, the list, and `Marker` if there is more.
    pub(super) fn fields(self, name: &'static str, shape: impl Fn(&T) -> Shape) -> Fields {
        let list = Shape::List(self.items.iter().map(shape).collect());
        self.end(Fields::new().with(name, list))
    }

    /// Adds `IsTruncated` and `Marker` to members that the caller made of the items.
    pub(super) fn end(self, fields: Fields) -> Fields {
        fields
            .with("IsTruncated", Shape::Flag(self.marker.is_some()))
            .maybe("Marker", self.marker.map(Shape::Text))
    }
}
