//! When the peer goes away: the matrix, whose rows `rows` names P1 to P20, in every role, alone and in a crowd.
//!
//! `cargo suite --test peer_close -- --nocapture` prints it, our answer beside the expected one.

mod namespace;
mod rows;
mod runner;

use std::time::Duration;

use namespace::Link;
use parking_lot::Mutex;
use rows::Row;
use runner::{Outcome, beside, play, play_vanished};

/// The tests here look at the whole of the hubs, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

fn alone(name: &str, limit: Duration, body: impl FnOnce()) {
    let _turn = TURN.lock();
    test_support::bounded(name, limit, body);
}

/// Plays all rows and prints the table.
fn matrix(title: &str, crowded: bool) {
    // Hubs, and what else is made once.
    for hub in 0..greenhub::hub_count().unwrap() {
        let thread = greenhub::green_thread::Builder::new()
            .hub(hub)
            .spawn(|| ())
            .unwrap();
        thread.join().unwrap();
    }
    let played = rows::all().into_iter().map(|row| (row, play(row, crowded)));
    print(title, played);
}

/// Prints rows, and fails if a cell is wrong.
fn print(title: &str, played: impl Iterator<Item = (&'static Row, Vec<Outcome>)>) {
    let mut faults = Vec::new();
    let (mut rows, mut cells) = (0, 0);
    println!("\n=== When the peer goes away, {title}");
    println!("row   what the peer does");
    println!("      our role               what our calls answered, in their order\n");
    for (row, outcomes) in played {
        rows += 1;
        cells += outcomes.len();
        println!("{:5} {}", row.name, row.what);
        println!("      {:22} {}", "expected", row.expected.join(", "));
        for outcome in outcomes {
            let observed = outcome.observed.join(", ");
            let fault = outcome.fault(row);
            let verdict = if fault.is_some() {
                "WRONG"
            } else {
                "as expected"
            };
            let role = outcome.role.name();
            println!(
                "      {role:22} {observed}: {verdict}, {:.0?}",
                outcome.slowest
            );
            if let Some(fault) = fault {
                faults.push(format!("{} as {role}: {observed}; {fault}", row.name));
            }
        }
    }
    println!(
        "=== {title}: {rows} rows, {cells} cells, {} wrong\n",
        faults.len()
    );
    assert!(
        faults.is_empty(),
        "{} cells are wrong:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn what_a_peer_does_is_answered_as_the_matrix_says() {
    alone(
        "what_a_peer_does_is_answered_as_the_matrix_says",
        Duration::from_secs(300),
        || matrix("alone", false),
    );
}

#[test]
fn what_a_peer_does_is_answered_so_beside_a_thousand_ticking_green_threads() {
    alone("what a peer does is", Duration::from_secs(300), || {
        beside(1000, || matrix("beside 1000 green threads that tick", true));
    });
}

#[test]
fn a_peer_behind_a_link_that_is_cut_is_noticed_as_the_matrix_says() {
    alone(
        "a peer behind a link",
        Duration::from_secs(300),
        || match Link::new() {
            Ok(link) => print(
                "over a link that is cut",
                play_vanished(rows::vanished::ROWS, &link).into_iter(),
            ),
            Err(reason) => println!("skipped: no network namespace of our own ({reason})"),
        },
    );
}
