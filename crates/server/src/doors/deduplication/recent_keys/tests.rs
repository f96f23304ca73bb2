use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use cairn_model::Sequence;
use cairn_platform::{Entropy, SeededEntropy};

use super::super::{EventKey, Identity};
use super::RecentKeys;

const WINDOW: Duration = Duration::from_mins(1);

fn identity(number: u64) -> Identity {
    let mut key = [0; 16];
    // Spread over shards and buckets as salted hashes are.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key[..8].copy_from_slice(&mixed.to_le_bytes());
    key[8..].copy_from_slice(&mixed.rotate_left(17).to_le_bytes());
    Identity {
        key: EventKey(key),
        content: number.to_le_bytes(),
    }
}

/// The same in the plainest form.
#[derive(Default)]
struct Model {
    entries: VecDeque<(u64, u64)>,
}

impl Model {
    fn latest(&self) -> HashMap<u64, u64> {
        self.entries.iter().copied().collect()
    }
}

#[test]
fn the_ring_remembers_what_a_list_would() {
    for seed in 0..30 {
        let entropy = SeededEntropy::new(seed);
        let random = |below: u64| {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        // Positions wrap within the run.
        let mut keys = RecentKeys::with_blocks_of(8, 0u32.wrapping_sub(64));
        let mut model = Model::default();
        let keys_max = usize::try_from(1 + random(60)).expect("a small number");
        let (mut now_s, mut sequence) = (1_000, 0);
        for _ in 0..400 {
            now_s += random(20) / 8;
            let batch: Vec<u64> = (0..=random(12)).map(|_| random(150)).collect();
            let identities: Vec<Identity> = batch.iter().copied().map(identity).collect();
            keys.extend(&identities, Sequence(sequence), now_s, WINDOW);
            keys.trim(keys_max, WINDOW, now_s);
            sequence += u64::try_from(batch.len()).expect("a small number");
            model.entries.extend(batch.iter().map(|n| (*n, now_s)));
            while model.entries.len() > keys_max
                || model
                    .entries
                    .front()
                    .is_some_and(|(_, time)| now_s - time > WINDOW.as_secs())
            {
                model.entries.pop_front();
            }
            assert_eq!(keys.len(), model.entries.len(), "seed {seed}");
            let latest = model.latest();
            for number in 0..150 {
                let found = keys.get(&identity(number).key);
                let found = found.map(|held| (held.content, held.time_s()));
                let expected = latest
                    .get(&number)
                    .map(|time| (number.to_le_bytes(), *time));
                assert_eq!(found, expected, "seed {seed}, key {number}");
            }
        }
    }
}

#[test]
fn the_log_may_forget_what_no_block_holds() {
    let mut keys = RecentKeys::with_blocks_of(4, 0);
    let mut add = |number: u64, now_s: u64| {
        keys.extend(&[identity(number)], Sequence(number), now_s, WINDOW);
        keys.trim(6, WINDOW, now_s)
    };
    // Six are kept: the first block of four goes when the eleventh comes, at the latest.
    let released: Vec<Option<Sequence>> = (0..11).map(|number| add(number, 1_000)).collect();
    assert_eq!(released.iter().flatten().last(), Some(&Sequence(4)));
    // Few entries do not hold the log for longer than the window and a part of it.
    for (number, now_s) in [(11, 1_010), (12, 1_040), (13, 1_065)] {
        add(number, now_s);
    }
    assert_eq!(add(14, 1_075), Some(Sequence(12)));
}
