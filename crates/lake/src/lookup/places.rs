//! Places of matching rows, newest first, as many as a page needs.

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In a hot batch of the view, by its index.
    Hot(usize),
    /// In a data file of the view, by its index.
    File(usize),
}

/// One matching row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Microseconds.
    pub(super) time: i64,
    pub(super) sequence: i64,
    pub(super) source: Source,
    /// Row number in the batch or file.
    pub(super) row: usize,
}

/// The newest places found so far.
#[derive(Debug)]
pub(super) struct NewestPlaces {
    places: Vec<Place>,
    wanted: usize,
}

impl NewestPlaces {
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            places: Vec::new(),
            wanted,
        }
    }

    /// Adds what one source held, newest first.
    pub(super) fn add(&mut self, found: Vec<Place>) {
        self.places.extend(found);
        self.places
            .sort_by_key(|place| std::cmp::Reverse((place.time, place.sequence)));
        self.places.truncate(self.wanted);
    }

    /// The time that a row must reach to matter still; none while there is room for any.
    pub(super) fn floor(&self) -> Option<i64> {
        (self.places.len() == self.wanted).then(|| self.places.last().map_or(i64::MIN, |p| p.time))
    }

    pub(super) fn into_vec(self) -> Vec<Place> {
        self.places
    }
}
