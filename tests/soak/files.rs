//! Files that are written aside and renamed: whoever reads one finds a whole version, whatever became of the writers.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use green::fs::{self, File, OpenOptions};
use test_support::random::Random;

use crate::storms::sockets::byte_at;
use crate::storms::{Crew, MILLISECOND, OPERATIONS, SETTLES, count, limited, pause};

/// Its length comes first.
fn version(random: &mut Random) -> Vec<u8> {
    let most = [100, 40_000][random.below(2) as usize];
    let length = 8 + random.below(most);
    let bytes = (8..length).map(byte_at);
    length.to_le_bytes().into_iter().chain(bytes).collect()
}

fn write(aside: &Path, path: &Path, random: &mut Random) -> io::Result<()> {
    let version = version(random);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(aside)?;
    for piece in version.chunks(1 + random.below(20_000) as usize) {
        file.write_all(piece)?;
    }
    if random.below(4) == 0 {
        file.sync_data()?;
    }
    drop(file);
    fs::rename(aside, path)
}

fn read(path: &Path) -> io::Result<()> {
    let mut version = Vec::new();
    File::open(path)?.read_to_end(&mut version)?;
    let length = u64::from_le_bytes(*version.first_chunk().expect("a whole version"));
    assert_eq!(version.len() as u64, length, "half a version");
    let rest = version.iter().zip(0..).skip(8);
    rest.for_each(|(byte, place)| assert_eq!(*byte, byte_at(place)));
    Ok(())
}

fn list(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match fs::metadata(entry.path()) {
            Ok(metadata) => assert!(metadata.is_file()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
    }
    Ok(())
}

pub fn round(mut random: Random) {
    let directory = tempfile::tempdir().unwrap().keep();
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut crew = Crew::new(&mut random);
    for _ in 0..2 + random.below(6) {
        let directory = directory.clone();
        crew.any(move |mut random| {
            for _ in 0..20 {
                let path = directory.join(random.below(3).to_string());
                // A call that was cut short may still be under way.
                let number = NUMBER.fetch_add(1, SeqCst);
                let aside = directory.join(format!("aside {number}"));
                let mut own = Random::new(random.below(u64::MAX));
                let done = limited(&mut random, || match own.below(8) {
                    0..=2 => write(&aside, &path, &mut own),
                    3..=5 => read(&path),
                    6 => list(&directory),
                    _ => fs::remove_file(&path),
                });
                match done {
                    Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
                        panic!("{error:?}")
                    }
                    _ => count(&OPERATIONS),
                }
                pause(&mut random);
            }
        });
    }
    crew.storm();
    let began = Instant::now();
    while let Err(error) = std::fs::remove_dir_all(&directory) {
        assert!(began.elapsed() < SETTLES, "{error:?}");
        std::thread::sleep(MILLISECOND);
    }
}
