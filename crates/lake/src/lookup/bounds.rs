//! What statistics of row groups and pages prove: where the values that a question asks for can lie.
//!
//! They are read where they stand in the footer, without making arrays of them: a lookup may ask hundreds
//! of files.

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use super::file_cache::OpenFile;
use super::question::{Attribute, Question, Test};

/// What one column's values must lie between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'q> {
    column: &'static str,
    range: Range<'q>,
}

#[derive(Clone, Copy, Debug)]
enum Range<'q> {
    Text(&'q str),
    Micros(i64, i64),
}

/// How many of the values between two bounds can be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    Nothing,
    Some,
    All,
}

impl<'q> Bound<'q> {
    /// Whose events, and where they happened.
    pub(super) fn scope(question: &'q Question) -> [Self; 2] {
        [
            Self::text("_account", &question.account),
            Self::text("awsregion", &question.region),
        ]
    }

    /// When they happened.
    pub(super) fn time(question: &'q Question) -> Self {
        Self {
            column: "eventtime",
            range: Range::Micros(question.start, question.end),
        }
    }

    /// The attribute, if it has an order.
    pub(super) fn attribute(question: &'q Question) -> Option<Self> {
        match &question.attribute {
            Some(Attribute {
                column,
                test: Test::Text(wanted),
            }) => Some(Self::text(column, wanted)),
            _ => None,
        }
    }

    fn text(column: &'static str, wanted: &'q str) -> Self {
        Self {
            column,
            range: Range::Text(wanted),
        }
    }

    /// No statistics prove nothing. Texts may be shortened, so they never prove that all is meant.
    fn overlap_texts(wanted: &str, lowest: Option<&[u8]>, highest: Option<&[u8]>) -> Overlap {
        match (lowest, highest) {
            (Some(lowest), Some(highest)) => {
                let wanted = wanted.as_bytes();
                if lowest <= wanted && wanted <= highest {
                    Overlap::Some
                } else {
                    Overlap::Nothing
                }
            }
            _ => Overlap::Some,
        }
    }

    fn overlap_times(between: (i64, i64), lowest: Option<&i64>, highest: Option<&i64>) -> Overlap {
        let (start, end) = between;
        match (lowest, highest) {
            (Some(lowest), Some(highest)) if *highest < start || end < *lowest => Overlap::Nothing,
            (Some(lowest), Some(highest)) if start <= *lowest && *highest <= end => Overlap::All,
            _ => Overlap::Some,
        }
    }

    fn overlap_of_group(&self, file: &OpenFile, group: usize) -> Overlap {
        let columns = file.deciding.metadata().row_group(group).columns();
        let statistics = file.leaf(self.column).and_then(|leaf| columns.get(leaf));
        match (
            self.range,
            statistics.and_then(|column| column.statistics()),
        ) {
            (Range::Text(wanted), Some(Statistics::ByteArray(known))) => {
                let lowest = known.min_opt().map(parquet::data_type::ByteArray::data);
                let highest = known.max_opt().map(parquet::data_type::ByteArray::data);
                Self::overlap_texts(wanted, lowest, highest)
            }
            (Range::Micros(start, end), Some(Statistics::Int64(known))) => {
                Self::overlap_times((start, end), known.min_opt(), known.max_opt())
            }
            _ => Overlap::Some,
        }
    }

    fn overlap_of_page(&self, pages: &ColumnIndexMetaData, page: usize) -> Overlap {
        match (self.range, pages) {
            (Range::Text(wanted), ColumnIndexMetaData::BYTE_ARRAY(known)) => {
                Self::overlap_texts(wanted, known.min_value(page), known.max_value(page))
            }
            (Range::Micros(start, end), ColumnIndexMetaData::INT64(known)) => {
                let (lowest, highest) = (known.min_value(page), known.max_value(page));
                Self::overlap_times((start, end), lowest, highest)
            }
            _ => Overlap::Some,
        }
    }
}

/// False if statistics prove that no row of the group has such values.
pub(super) fn within(file: &OpenFile, group: usize, bounds: &[Bound<'_>]) -> bool {
    let overlap = |bound: &Bound<'_>| bound.overlap_of_group(file, group);
    bounds
        .iter()
        .all(|bound| overlap(bound) != Overlap::Nothing)
}

/// The rows of a group that lie in pages which can have such values; none if that may be all of them.
pub(super) fn pages_within(
    file: &OpenFile,
    group: usize,
    bounds: &[Bound<'_>],
) -> Option<RowSelection> {
    let mut wanted: Option<RowSelection> = None;
    for bound in bounds {
        if bound.overlap_of_group(file, group) == Overlap::All {
            continue;
        }
        let Some(selection) = pages_of_bound(file, group, bound) else {
            continue;
        };
        wanted = Some(match wanted {
            None => selection,
            Some(before) => before.intersection(&selection),
        });
    }
    wanted
}

fn pages_of_bound(file: &OpenFile, group: usize, bound: &Bound<'_>) -> Option<RowSelection> {
    let metadata = file.deciding.metadata();
    let leaf = file.leaf(bound.column)?;
    let pages = metadata.column_index()?.get(group)?.get(leaf)?;
    let offsets = metadata.offset_index()?.get(group)?.get(leaf)?;
    let starts = offsets.page_locations();
    if u64::try_from(starts.len()) != Ok(pages.num_pages()) {
        return None;
    }
    let rows = usize::try_from(metadata.row_group(group).num_rows()).ok()?;
    let mut selectors = Vec::with_capacity(starts.len());
    let mut start = 0;
    for page in 0..starts.len() {
        let end = match starts.get(page + 1) {
            Some(next) => usize::try_from(next.first_row_index).ok()?,
            None => rows,
        };
        let count = end.checked_sub(start)?;
        selectors.push(match bound.overlap_of_page(pages, page) {
            Overlap::Nothing => RowSelector::skip(count),
            Overlap::Some | Overlap::All => RowSelector::select(count),
        });
        start = end;
    }
    Some(RowSelection::from(selectors))
}
