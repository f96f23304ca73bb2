//! One page of a listing, in S3's order (by the bytes of the keys), without reading what the page does
//! not need: folders that cannot hold a wanted key are not opened.

use crate::stored_objects::{FolderEntry, ObjectFacts, StoredObjects, StoredObjectsError};

/// Most entries that one page may hold, whatever the caller asks (S3's own bound).
pub(crate) const PAGE_ENTRIES_MAX: usize = 1000;

/// What to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListingRequest {
    pub(crate) prefix: String,
    /// Keys below the first occurrence of this text after the prefix are rolled up; empty for none.
    pub(crate) delimiter: String,
    /// Only entries after this one.
    pub(crate) after: String,
    pub(crate) entries_max: usize,
}

/// A page: objects and rolled-up prefixes, each in order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) objects: Vec<ObjectFacts>,
    pub(crate) common_prefixes: Vec<String>,
    /// The last entry of the page, if more follow.
    pub(crate) next_after: Option<String>,
}

/// Lists one page. Blocks: call off the async threads.
pub(crate) fn list(
    stored: &StoredObjects,
    request: &ListingRequest,
) -> Result<Listing, StoredObjectsError> {
    let mut page = Page {
        request,
        listing: Listing::default(),
        last: String::new(),
        full: false,
    };
    if request.entries_max == 0 {
        return Ok(page.listing);
    }
    // Depth first, children pushed in reverse, so that entries come in the order of their keys.
    let mut pending = vec![FolderEntry::Folder(String::new())];
    while let Some(entry) = pending.pop() {
        match entry {
            FolderEntry::Object(facts) => page.offer(facts),
            FolderEntry::Folder(path) if page.wants_folder(&path) => {
                pending.extend(stored.folder_entries(&path)?.into_iter().rev());
            }
            FolderEntry::Folder(_) => {}
        }
        if page.full {
            page.listing.next_after = Some(page.last);
            return Ok(page.listing);
        }
    }
    Ok(page.listing)
}

struct Page<'a> {
    request: &'a ListingRequest,
    listing: Listing,
    last: String,
    full: bool,
}

impl Page<'_> {
    /// False if no key below `path` can be on this page.
    fn wants_folder(&self, path: &str) -> bool {
        let prefix = &self.request.prefix;
        let on_the_way = path.starts_with(prefix.as_str()) || prefix.starts_with(path);
        let after = &self.request.after;
        let all_before = !after.is_empty() && path < after.as_str() && !after.starts_with(path);
        let rolled_up = |done: &String| path.starts_with(done.as_str());
        on_the_way && !all_before && !self.listing.common_prefixes.last().is_some_and(rolled_up)
    }

    fn offer(&mut self, facts: ObjectFacts) {
        let request = self.request;
        let Some(rest) = facts.key.strip_prefix(request.prefix.as_str()) else {
            return;
        };
        let rolled_up = match request.delimiter.as_str() {
            "" => None,
            delimiter => rest
                .find(delimiter)
                .map(|at| facts.key[..request.prefix.len() + at + delimiter.len()].to_owned()),
        };
        let entry = rolled_up.as_deref().unwrap_or(&facts.key);
        if entry <= request.after.as_str()
            || Some(entry) == self.listing.common_prefixes.last().map(String::as_str)
        {
            return;
        }
        if self.listing.objects.len() + self.listing.common_prefixes.len() == request.entries_max {
            self.full = true;
            return;
        }
        entry.clone_into(&mut self.last);
        match rolled_up {
            Some(prefix) => self.listing.common_prefixes.push(prefix),
            None => self.listing.objects.push(facts),
        }
    }
}
