//! Reads the sources of a package and notes what matters to a hub.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Package, TargetKind};

use crate::names::Kind;
use crate::program::folder;
use crate::rewrite::{self, Facts, Found, Manner, Mention};

#[derive(Debug)]
pub struct Survey {
    /// The files that are compiled into the library or programs, by their path in the package.
    pub files: Vec<PathBuf>,
    pub facts: Facts,
    pub mentions: Vec<(PathBuf, Mention)>,
    /// Files that are not Rust to us, and why.
    pub unread: Vec<(PathBuf, String)>,
}

impl Survey {
    pub fn of(package: &Package) -> Result<Self> {
        let root = folder(package);
        let files = sources(package)?;
        let mut survey = Survey {
            files,
            facts: Facts::default(),
            mentions: Vec::new(),
            unread: Vec::new(),
        };
        let mut texts = Vec::new();
        for file in &survey.files {
            let path = root.join(file);
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            let noted = match String::from_utf8(text) {
                Ok(text) => rewrite::note(&text, &mut survey.facts)
                    .map(|()| texts.push((file.clone(), text))),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = noted {
                survey.unread.push((file.clone(), error.to_string()));
            }
        }
        for (file, text) in texts {
            let manner = Manner {
                facts: &survey.facts,
                shielded: false,
            };
            if !survey.is_test(&file) && WORDS.iter().any(|word| text.contains(word)) {
                let mentions = rewrite::rewrite(&text, manner)?.mentions;
                survey
                    .mentions
                    .extend(mentions.into_iter().map(|mention| (file.clone(), mention)));
            }
        }
        Ok(survey)
    }

    /// Tests alone compile it.
    fn is_test(&self, file: &Path) -> bool {
        file.iter().any(|part| {
            let stem = Path::new(part).file_stem().and_then(|stem| stem.to_str());
            stem.is_some_and(|stem| self.facts.test_modules.contains(stem))
        })
    }

    /// The first place where the package does the worst that it does.
    pub fn worst(&self) -> Option<(Kind, &Path, &Mention)> {
        let kinds = self
            .mentions
            .iter()
            .filter_map(|(file, mention)| match mention.found {
                Found::Std(kind) => Some((kind, file.as_path(), mention)),
                _ => None,
            });
        // The first of equals.
        kinds.rev().max_by_key(|(kind, ..)| *kind)
    }

    /// Types that wait, which other crates may be handed.
    pub fn types(&self) -> impl Iterator<Item = (&str, &Path, usize)> {
        self.mentions.iter().filter_map(|(file, mention)| {
            let name = mention.what.rsplit("::").next()?;
            let is_type = name.starts_with(char::is_uppercase) && name != "ToSocketAddrs";
            let waits = matches!(mention.found, Found::Std(Kind::Wait | Kind::Disk));
            (is_type && waits).then_some((mention.what.as_str(), file.as_path(), mention.line))
        })
    }
}

/// A file without one of these has nothing for us.
const WORDS: &[&str] = &[
    "std",
    "crossbeam",
    "libc",
    "once_cell",
    "lazy_static",
    "parking_lot",
    "print",
    "socket2",
    "thread_local",
    "to_socket_addrs",
    "unsafe",
    "sleep",
];

/// The Rust files of a package, but for those of tests, benchmarks, examples and the build script.
pub fn sources(package: &Package) -> Result<Vec<PathBuf>> {
    let root = folder(package);
    let script = package
        .targets
        .iter()
        .find(|target| target.is_kind(TargetKind::CustomBuild));
    let script = script.map(|target| target.src_path.as_std_path());
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).with_context(|| at.display().to_string())? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                let aside = at == root
                    && matches!(name.as_str(), "tests" | "benches" | "examples" | "target");
                // Another package, or nothing for the compiler.
                if !aside && !name.starts_with('.') && !path.join("Cargo.toml").exists() {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") && Some(path.as_path()) != script {
                files.push(path.strip_prefix(root).expect("it lies within").to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}
