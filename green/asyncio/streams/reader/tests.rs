//! How a reader holds its connection back, and keeps what a killed reader was about to take.

use std::io::Read;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::*;

/// Counts how often it was paused and not resumed.
#[derive(Clone, Default)]
struct Source(Arc<AtomicI32>);

impl Pausable for Source {
    fn pause_reading(&self) {
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "paused twice");
    }

    fn resume_reading(&self) {
        assert_eq!(self.0.fetch_sub(1, Ordering::SeqCst), 1, "resumed twice");
    }
}

impl Source {
    fn is_paused(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 1
    }
}

fn reader_of(limit: usize) -> (StreamReader, Source) {
    let (reader, source) = (StreamReader::with_limit(limit), Source::default());
    reader.set_source(Box::new(source.clone()));
    (reader, source)
}

#[test]
fn reading_pauses_above_twice_the_limit_and_resumes_at_the_limit() {
    let (reader, source) = reader_of(10);
    reader.feed_data(&[1; 20]);
    assert!(!source.is_paused());
    reader.feed_data(&[2; 1]);
    assert!(source.is_paused());
    reader.feed_data(&[3; 9]);
    assert_eq!(reader.read(19).unwrap().len(), 19);
    assert!(source.is_paused());
    assert_eq!(reader.read(1).unwrap(), [1]);
    assert!(!source.is_paused());
    let mut rest = [0; 100];
    assert_eq!(Read::read(&mut &reader, &mut rest).unwrap(), 10);
}

#[test]
fn a_read_of_more_than_is_buffered_lets_the_connection_go_on() {
    let (reader, source) = reader_of(10);
    reader.feed_data(&[0; 30]);
    assert!(source.is_paused());
    let theirs = reader.clone();
    let reading = greenhub::green_thread::spawn(move || theirs.readexactly(100).unwrap().len());
    for _ in 0..7 {
        while source.is_paused() {
            greenhub::green_thread::sleep(Duration::from_millis(1));
        }
        reader.feed_data(&[0; 10]);
    }
    assert_eq!(reading.join().unwrap(), 100);
    assert!(!source.is_paused());
}

#[test]
fn killed_and_timed_out_readers_leave_everything_to_the_next() {
    let (reader, _) = reader_of(10);
    reader.feed_data(b"par");
    type Call = fn(&StreamReader);
    let calls: [Call; 4] = [
        |reader| drop(reader.readexactly(7)),
        |reader| drop(reader.readline()),
        |reader| drop(reader.readuntil(b"--")),
        |reader| drop(reader.read_to_eof()),
    ];
    for call in calls {
        assert!(greenhub::timeout(Duration::from_millis(2), || call(&reader)).is_err());
        let theirs = reader.clone();
        let killed = greenhub::green_thread::spawn(move || call(&theirs));
        killed.kill().unwrap();
        assert!(killed.join().is_err());
    }
    reader.feed_data(b"tial");
    assert_eq!(reader.readexactly(7).unwrap(), b"partial");
}

#[test]
fn readers_side_by_side_each_get_a_whole_answer() {
    let (reader, _) = reader_of(1000);
    let readers: Vec<_> = (0..20)
        .map(|_| {
            let reader = reader.clone();
            greenhub::green_thread::spawn(move || reader.readexactly(10).unwrap())
        })
        .collect();
    for number in 0..20_u8 {
        reader.feed_data(&[number; 3]);
        reader.feed_data(&[number; 7]);
    }
    let mut answers: Vec<_> = readers.into_iter().map(|r| r.join().unwrap()).collect();
    answers.sort();
    assert!((0..20_u8).zip(answers).all(|(n, answer)| answer == [n; 10]));
}
