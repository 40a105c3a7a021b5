//! Fifth act: what std does not have. Time limits over a whole block, and green threads that can
//! be ended from outside.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use green::thread;

use crate::departures::{expect_end, pair};
use crate::screen::{count, time};
use crate::stage::{Failure, Outcome, Progress, Stage};

const LIMIT: Duration = Duration::from_millis(200);
/// How late a limit may come on a machine that has other things to do.
const LATE: Duration = Duration::from_secs(5);
const SLEEPERS: usize = 5_000;

pub fn play(stage: &mut Stage) {
    stage.act(
        "Guards",
        "Limits over whole blocks, where a limit for each read would not help; and threads\n\
         that are ended from outside, with everything they own.",
    );
    stage.check("a peer drips one byte at a time, for ever", drip);
    stage.check("a limit within a limit: the inner one reports", nested);
    stage.check("a reader is killed: its peer sees it go", kill_reader);
    stage.check("5,000 sleepers are killed", kill_sleepers);
}

/// Every read succeeds, so no read timeout would ever pass.
fn drip(_: &Arc<Progress>) -> Outcome {
    let (ours, mut theirs) = pair()?;
    thread::spawn(move || {
        while theirs.write_all(b".").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    ours.set_read_timeout(Some(LIMIT))?;
    let begun = Instant::now();
    let mut heard = Vec::new();
    match green::timeout(LIMIT, || (&ours).read_to_end(&mut heard)) {
        Err(_elapsed) => in_time(begun, LIMIT)?,
        Ok(result) => return Err(format!("expected the limit to pass, got {result:?}").into()),
    }
    Ok(format!(
        "cut after {}, {} bytes read till then",
        time(begun.elapsed()),
        heard.len()
    ))
}

fn nested(_: &Arc<Progress>) -> Outcome {
    let (ours, _theirs) = pair()?;
    let begun = Instant::now();
    let outer = green::timeout(LATE * 2, || {
        let inner = green::timeout(LIMIT, || (&ours).read(&mut [0]));
        if inner.is_ok() {
            Err("the inner limit did not pass")
        } else {
            Ok(())
        }
    });
    match outer {
        Ok(result) => result?,
        Err(_elapsed) => return Err("the outer limit reported the inner one's end".into()),
    }
    in_time(begun, LIMIT)?;
    Ok(format!(
        "after {}; the outer block went on",
        time(begun.elapsed())
    ))
}

fn kill_reader(_: &Arc<Progress>) -> Outcome {
    let (ours, mut theirs) = pair()?;
    let reader = thread::spawn(move || (&ours).read(&mut [0]));
    thread::sleep(Duration::from_millis(30));
    let begun = Instant::now();
    reader.kill()?;
    if reader.join().is_ok() {
        return Err("the reader returned as if nothing had happened".into());
    }
    theirs.set_read_timeout(Some(LATE))?;
    expect_end(theirs.read(&mut [0]))?;
    Ok(format!(
        "the peer saw the end of the stream after {}",
        time(begun.elapsed())
    ))
}

fn kill_sleepers(progress: &Arc<Progress>) -> Outcome {
    let sleepers: Vec<_> = (0..SLEEPERS)
        .map(|_| thread::spawn(|| thread::sleep(Duration::from_secs(3600))))
        .collect();
    thread::sleep(Duration::from_millis(10));
    let begun = Instant::now();
    for sleeper in &sleepers {
        sleeper.kill()?;
    }
    for sleeper in sleepers {
        if sleeper.join().is_ok() {
            return Err("a sleeper slept to its end".into());
        }
        progress.add(1);
    }
    let took = begun.elapsed();
    Ok(format!(
        "{} ended in {}",
        count(SLEEPERS as u64),
        time(took)
    ))
}

fn in_time(begun: Instant, limit: Duration) -> Result<(), Failure> {
    match begun.elapsed() {
        took if took < limit => Err(format!("{} is too soon", time(took)).into()),
        took if took > limit + LATE => Err(format!("{} is too late", time(took)).into()),
        _ => Ok(()),
    }
}
