//! Reads the sources of a package and notes what matters to a hub.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{Package, TargetKind};

use crate::names::Kind;
use crate::program::{folder, library};
use crate::rewrite::{self, Cfg, Declared, Facts, Found, Manner, Mention, Via};

#[derive(Debug)]
pub struct Survey {
    /// Every file of the package that may belong to its library or programs, by its path in the package.
    pub files: Vec<PathBuf>,
    pub facts: Facts,
    /// What is in those that are compiled on this machine.
    pub mentions: Vec<(PathBuf, Mention)>,
    /// Files that are not Rust to us, and why.
    pub unread: Vec<(PathBuf, String)>,
}

impl Survey {
    /// Reads `package`, as it is compiled where `cfg` is set.
    pub fn of(package: &Package, cfg: &Cfg) -> Result<Self> {
        let root = folder(package);
        let files = sources(package)?;
        let mut survey = Survey {
            files,
            facts: Facts::default(),
            mentions: Vec::new(),
            unread: Vec::new(),
        };
        let mut texts = BTreeMap::new();
        for file in &survey.files {
            let path = root.join(file);
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            let (mut facts, mut declared) = (Facts::default(), Declared::default());
            let noted = String::from_utf8(bytes)
                .map_err(anyhow::Error::from)
                .and_then(|text| {
                    rewrite::note(&text, cfg, &mut facts, &mut declared)?;
                    Ok(text)
                });
            match noted {
                Ok(text) => drop(texts.insert(file.clone(), (text, facts, declared))),
                Err(error) => survey.unread.push((file.clone(), error.to_string())),
            }
        }
        let live = live(package, &texts);
        for (file, (_, facts, _)) in &texts {
            survey.facts.merge(facts, live.contains(file));
        }
        for file in live {
            let text = &texts[&file].0;
            let manner = Manner {
                facts: &survey.facts,
                cfg,
                shielded: false,
            };
            if WORDS.iter().any(|word| text.contains(word)) {
                let mentions = rewrite::rewrite(text, manner)?.mentions;
                survey
                    .mentions
                    .extend(mentions.into_iter().map(|mention| (file.clone(), mention)));
            }
        }
        Ok(survey)
    }

    /// The first place of the worst kind that the package has.
    pub fn worst(&self) -> Option<(Kind, &Path, &Mention)> {
        // The first of equals.
        self.kinds().rev().max_by_key(|(kind, ..)| *kind)
    }

    /// The first place that is such a one.
    pub fn first(&self, is_it: impl Fn(Kind, &Mention) -> bool) -> Option<(&Path, &Mention)> {
        let mut kinds = self.kinds();
        kinds.find_map(|(kind, file, mention)| is_it(kind, mention).then_some((file, mention)))
    }

    fn kinds(&self) -> impl DoubleEndedIterator<Item = (Kind, &Path, &Mention)> {
        self.mentions
            .iter()
            .filter_map(|(file, mention)| match mention.found {
                Found::Std(kind) if mention.via != Via::Import => {
                    Some((kind, file.as_path(), mention))
                }
                _ => None,
            })
    }

    /// Types that wait and that are exchanged with other crates.
    pub fn types(&self) -> impl Iterator<Item = (&str, &Path, usize)> {
        self.mentions.iter().filter_map(|(file, mention)| {
            let name = mention.what.rsplit("::").next()?;
            let is_type = name.starts_with(char::is_uppercase) && name != "ToSocketAddrs";
            let waits = matches!(mention.found, Found::Std(Kind::Wait | Kind::Disk));
            (is_type && waits && mention.public).then_some((
                mention.what.as_str(),
                file.as_path(),
                mention.line,
            ))
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

/// The files that the roots of the package's targets lead to.
fn live(
    package: &Package,
    texts: &BTreeMap<PathBuf, (String, Facts, Declared)>,
) -> BTreeSet<PathBuf> {
    let root = folder(package);
    let targets = (package.targets.iter()).filter(|target| match library(package) {
        // A dependency's programs are not built.
        Some(library) if package.source.is_some() => *target == library,
        _ => target.is_kind(TargetKind::Bin) || Some(*target) == library(package),
    });
    let roots = targets.filter_map(|target| target.src_path.as_std_path().strip_prefix(root).ok());
    let mut todo: Vec<PathBuf> = roots
        .map(Path::to_owned)
        .filter(|file| texts.contains_key(file))
        .collect();
    let mut live: BTreeSet<PathBuf> = todo.iter().cloned().collect();
    while let Some(file) = todo.pop() {
        let declared = &texts[&file].2;
        let below = file.parent().unwrap_or(Path::new(""));
        for other in texts.keys().filter(|other| other.starts_with(below)) {
            let name = if other.ends_with("mod.rs") {
                other.parent().and_then(Path::file_name)
            } else {
                other.file_stem()
            };
            let name = name.and_then(|name| name.to_str()).unwrap_or_default();
            let named = declared.modules.contains(name)
                || declared.files.iter().any(|path| other.ends_with(path));
            if named && live.insert(other.clone()) {
                todo.push(other.clone());
            }
        }
    }
    live
}

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
