//! Counts the words of files, the most frequent first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;

fn main() -> std::result::Result<(), std::boxed::Box<dyn Error>> {
    let folder: PathBuf = env::temp_dir().join(std::format!("words-{}", std::process::id()));
    fs::create_dir(&folder)?;
    for (name, text) in std::array::from_fn::<_, 3, _>(|n| (n, "to be or not to be\n".repeat(n + 1))) {
        write!(File::create(folder.join(name.to_string()))?, "{text}")?;
    }

    let mut words: HashMap<String, usize> = HashMap::default();
    for entry in fs::read_dir(&folder)? {
        for line in BufReader::new(File::open(entry?.path())?).lines() {
            for word in line?.split_whitespace() {
                *words.entry(std::string::String::from(word)).or_default() += 1;
            }
        }
    }
    fs::remove_dir_all(&folder)?;

    let sorted: BTreeMap<_, _> = words.iter().map(|(word, n)| ((Reverse(n), word), ())).collect();
    for ((Reverse(count), word), ()) in sorted {
        std::println!("{count} {word}");
    }
    Ok(())
}
