//! The witness on a disk that loses power, fills up and fails; what a bent slot says.

use cairn_platform::{SimDisk, SimFaults};

use super::*;

const CATALOG: &str = "/data/catalog.sqlite";

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let made = disk.create_dir_all(Path::new("/data"));
    made.expect("an empty disk");
    disk
}

fn open(disk: &SimDisk) -> Witness {
    Witness::open(disk, Path::new(CATALOG)).expect("opens")
}

// Proves: C5
#[test]
fn after_a_kill_it_is_exact_and_after_a_power_loss_never_ahead() {
    for seed in 0..300 {
        let mut disk = disk(seed);
        let first = open(&disk);
        assert_eq!(first.found(), None);
        drop(first);
        let mut committed = 0;
        for life in 0..6 {
            let witness = open(&disk);
            assert!(witness.found().is_some_and(|found| found <= committed));
            for _ in 0..(seed + life) % 5 {
                committed += 1;
                witness.follow(committed);
            }
            disk = if (seed + life) % 3 == 0 {
                disk.crash()
            } else {
                let killed = disk.kill();
                if (seed + life) % 5 > 0 {
                    assert_eq!(open(&killed).found(), Some(committed));
                }
                killed
            };
        }
    }
}

// Proves: C6
#[test]
fn a_failed_write_spoils_no_statement_and_the_next_makes_up_for_it() {
    let disk = disk(1);
    let witness = open(&disk);
    for changes in 1..=3 {
        witness.follow(changes);
    }
    for changes in [4, 5, 6] {
        let write_fails_at = Some(1);
        disk.set_faults(SimFaults {
            write_fails_at,
            ..SimFaults::default()
        });
        witness.follow(changes);
        let copy = Witness::open(&disk, Path::new(CATALOG)).expect("opens");
        assert_eq!(
            copy.found(),
            Some(3),
            "the slot of the last good one stands"
        );
    }
    witness.follow(7);
    assert_eq!(open(&disk.kill()).found(), Some(7));
}

// Proves: C6
#[test]
fn a_failed_write_after_a_start_leaves_what_the_last_process_stated() {
    for last in 1..=4 {
        let disk = disk(4);
        let witness = open(&disk);
        for changes in 1..=last {
            witness.follow(changes);
        }
        let disk = disk.kill();
        let witness = open(&disk);
        let write_fails_at = Some(1);
        disk.set_faults(SimFaults {
            write_fails_at,
            ..SimFaults::default()
        });
        witness.follow(last + 1);
        assert_eq!(open(&disk.kill()).found(), Some(last));
    }
}

// Proves: C6
#[test]
fn a_disk_that_is_full_takes_what_had_its_room_reserved() {
    let disk = disk(2);
    let witness = open(&disk);
    let capacity_bytes = Some(disk.used_bytes());
    disk.set_faults(SimFaults {
        capacity_bytes,
        ..SimFaults::default()
    });
    for changes in 1..=4 {
        witness.follow(changes);
        let again = open(&disk);
        assert_eq!(again.found(), Some(changes));
    }
}

#[test]
fn statements_that_come_late_take_nothing_back() {
    let disk = disk(3);
    let witness = open(&disk);
    for changes in [2, 1, 3, 1, 2] {
        witness.follow(changes);
    }
    assert_eq!(open(&disk.kill()).found(), Some(3));
}

#[test]
fn no_slot_with_a_flipped_bit_is_believed() {
    for changes in [0, 1, 4_711, u64::MAX] {
        let slot = encode(changes);
        assert_eq!(decode(&slot), Some(changes));
        for bit in 0..SLOT_BYTES * 8 {
            let mut bent = slot;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bent), None, "bit {bit} of {changes}");
        }
    }
    assert_eq!(decode(&[0; SLOT_BYTES]), None);
}
