//! What is looked at after each try, and at the end: whether what is said is so.

use super::operator::Fate;
use super::server::State;
use super::world::{OTHERS, World};
use crate::journal::memory::Shared as SharedJournal;
use crate::loader::CommitScope;
use crate::model::{JobState, Report, invariant};

/// Whether the journals and the server agree, as far as they have to at any time.
pub(super) fn after_a_try(world: &World) {
    let mut open: Vec<String> = Vec::new();
    for (place, journal) in (0_u64..).zip(&world.journals) {
        for (label, standing) in journal.states() {
            let (landed, by_it) = world.server.with(|registry| {
                let mut landed = registry.transactions.iter().filter(|one| one.label == label);
                let landed = landed.find(|one| one.state.is_landed());
                (landed.is_some(), landed.is_some_and(|one| one.place == Some(place)))
            });
            match standing.as_str() {
                "visible" | "committed" if !landed => {
                    world.broken(invariant::ROWS_1, format!("the journal has {label} in the table, and it is not"));
                }
                "aborted" if by_it => {
                    let how = format!("the journal has {label} rolled back, and it is in the table");
                    world.broken(invariant::TRUTH_1, how);
                }
                "sending" | "prepared" | "in_doubt" => open.push(label),
                _ => {}
            }
        }
    }
    let prepared = world.server.with(|registry| {
        let prepared = registry.transactions.iter().filter(|one| one.state == State::Prepared);
        prepared.map(|one| one.label.clone()).collect::<Vec<_>>()
    });
    for label in prepared {
        if !open.contains(&label) && !OTHERS.iter().any(|(other, _)| *other == label) {
            world.broken(invariant::OPEN_1, format!("{label} is prepared, and no journal says so"));
        }
    }
}

/// Whether a job that calls itself done has done it.
pub(super) fn of_a_report(world: &World, report: &Report) {
    let rows = world.plan.rows;
    let done = matches!(report.state, JobState::Finished | JobState::AlreadyLoaded);
    if !done || report.rows_loaded != rows || report.rows_read != rows {
        let how = format!(
            "the report says {:?}, {} rows read and {} loaded of {rows}",
            report.state, report.rows_read, report.rows_loaded
        );
        world.broken(invariant::TRUTH_1, how);
    }
    all_rows_once(world);
}

fn all_rows_once(world: &World) {
    let cut_off = world.cut_off.lock().unwrap();
    let missing = world.server.with(|registry| {
        // Counts that nobody lived to read show no loss, and the label says no more than that it is there.
        let unseen = registry
            .transactions
            .iter()
            .any(|one| one.state.is_landed() && one.short.as_ref().is_some_and(|sender| cut_off.contains(sender)));
        let wrong = |row: &u64| registry.table.get(row).map_or(!unseen, |times| *times != 1);
        (1..=world.plan.rows).find(wrong)
    });
    drop(cut_off);
    if let Some(row) = missing {
        world.broken(invariant::ROWS_1, format!("the job is done, and row {row} is not in the table once"));
    }
}

/// The last look, when nobody does anything any more.
pub(super) fn at_the_end(world: &World, fates: &[Fate]) {
    after_a_try(world);
    let finished = fates.contains(&Fate::Finished);
    if finished {
        all_rows_once(world);
    }
    let (loaded, open, others) = world.server.with(|registry| {
        let state = |label: &str| registry.newest(label).map(|at| registry.transactions[at].state);
        let others: Vec<_> = OTHERS.iter().filter(|(label, before)| state(label) != Some(*before)).collect();
        let open = registry.transactions.iter().filter(|one| one.state.is_open());
        let open: Vec<String> = open.map(|one| one.label.clone()).collect();
        (registry.table.len(), open, others)
    });
    if let Some((label, _)) = others.first() {
        world.broken(invariant::OTHERS_1, format!("{label} does not stand as it did"));
    }
    let ours: Vec<_> = open.iter().filter(|label| !OTHERS.iter().any(|(other, _)| other == label)).collect();
    if fates.iter().all(|fate| *fate == Fate::Finished)
        && let Some(label) = ours.first()
    {
        world.broken(invariant::OPEN_1, format!("everything is done, and {label} is still open"));
    }
    if world.plan.scope == CommitScope::Job && !is_decided(world) && loaded > 0 {
        world.broken(invariant::COMMIT_1, format!("nothing was decided, and {loaded} rows are in the table"));
    }
}

/// Whether any journal has a decision to commit.
pub(super) fn is_decided(world: &World) -> bool {
    world.journals.iter().any(SharedJournal::has_decided)
}
