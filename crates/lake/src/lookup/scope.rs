//! Which rows of a data file belong to an account and Region. Files never change, so each answer is found
//! once and remembered with the file: lookups then read neither column again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::BooleanArray;
use futures::TryStreamExt as _;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::bounds::{Bound, pages_within};
use super::file_cache::OpenFile;
use super::file_search::{BATCH_ROWS, projection};
use super::question::{Question, SCOPE_COLUMNS};
use crate::error::LakeError;

/// Answers that are remembered of one file; all are forgotten when there are more.
const SCOPES_MAX: usize = 1_024;

/// Rows of accounts and Regions, by row group.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    known: Mutex<HashMap<Scope, Arc<RowSelection>>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scope {
    group: usize,
    account: String,
    region: String,
}

impl Scopes {
    /// About what this takes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        let known = self.lock();
        known
            .iter()
            .map(|(scope, rows)| memory_bytes(scope, rows))
            .sum()
    }

    fn remember(&self, scope: Scope, rows: Arc<RowSelection>) {
        let mut known = self.lock();
        if known.len() >= SCOPES_MAX {
            known.clear();
        }
        known.insert(scope, rows);
    }

    // Held for a look or an insertion; two tasks may find the same answer once each.
    fn lock(&self) -> MutexGuard<'_, HashMap<Scope, Arc<RowSelection>>> {
        self.known.lock().expect("no holder of this lock panics")
    }
}

fn memory_bytes(scope: &Scope, rows: &RowSelection) -> usize {
    let texts = scope.account.len() + scope.region.len();
    size_of::<Scope>() + texts + rows.iter().count() * size_of::<RowSelector>()
}

/// The rows of a row group that belong to the question's account and Region.
pub(super) async fn rows_in_scope(
    file: &OpenFile,
    group: usize,
    question: &Question,
) -> Result<Arc<RowSelection>, LakeError> {
    let scope = Scope {
        group,
        account: question.account.clone(),
        region: question.region.clone(),
    };
    let known = file.scopes.lock().get(&scope).cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let found = Arc::new(search(file, group, question).await?);
    file.remember(memory_bytes(&scope, &found));
    file.scopes.remember(scope, Arc::clone(&found));
    Ok(found)
}

async fn search(
    file: &OpenFile,
    group: usize,
    question: &Question,
) -> Result<RowSelection, LakeError> {
    let doing = "finding an account's rows";
    let rows = usize::try_from(file.deciding.metadata().row_group(group).num_rows()).unwrap_or(0);
    let pages = pages_within(file, group, &Bound::scope(question));
    let pages = pages.unwrap_or_else(|| vec![RowSelector::select(rows)].into());
    if !pages.selects_any() {
        return Ok(pages);
    }
    let mut batches = ParquetRecordBatchStreamBuilder::new_with_metadata(
        file.reader.clone(),
        file.deciding.clone(),
    )
    .with_row_groups(vec![group])
    .with_row_selection(pages.clone())
    .with_batch_size(BATCH_ROWS)
    .with_projection(projection(&file.deciding, &SCOPE_COLUMNS))
    .build()
    .map_err(LakeError::parquet(doing))?;
    let mut masks: Vec<BooleanArray> = Vec::new();
    while let Some(batch) = batches
        .try_next()
        .await
        .map_err(LakeError::parquet(doing))?
    {
        masks.push(question.in_scope(&batch)?);
    }
    let read: usize = masks.iter().map(arrow::array::Array::len).sum();
    if read != pages.row_count() {
        return Err(LakeError::Damaged {
            key: file.reader.key.clone(),
            reason: format!("{read} rows instead of {}", pages.row_count()),
        });
    }
    Ok(pages.and_then(&RowSelection::from_filters(&masks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_beyond_the_limit_take_no_more_memory() {
        let scopes = Scopes::default();
        let one = |number: usize| Scope {
            group: number,
            account: "111111111111".to_owned(),
            region: "us-east-1".to_owned(),
        };
        let rows: Arc<RowSelection> = Arc::new(vec![RowSelector::select(7)].into());
        scopes.remember(one(0), Arc::clone(&rows));
        let of_one = scopes.memory_bytes();
        assert!(of_one > 0);
        for number in 0..3 * SCOPES_MAX {
            scopes.remember(one(number), Arc::clone(&rows));
            assert!(scopes.memory_bytes() <= of_one * SCOPES_MAX);
            let kept = scopes.lock().get(&one(number)).cloned();
            assert_eq!(kept.as_ref(), Some(&rows), "the newest answer is known");
        }
    }
}
