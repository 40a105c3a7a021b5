//! The whole suite, its test programs side by side.
//!
//! `cargo test` runs one test program after another, and most of the time they wait: for limits that pass, for peers that
//! have vanished. So cargo gets a *runner* for them, which is this program again: it notes how cargo would have run each
//! and reports success at once. What was noted is then run here, [`SIDE_BY_SIDE`] at a time, beside the examples of the
//! documentation, which cargo runs itself. What each says comes out in one piece, in cargo's order; the longest are named at
//! the end. Tests that run the example programs are told that these are built already.

use std::collections::VecDeque;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// How many test programs run at a time. Each runs as many tests at a time as `RUST_TEST_THREADS` says.
const SIDE_BY_SIDE: usize = 2;
/// The argument that makes this program the runner; the file for its notes follows, and what cargo would have run.
pub const RUNNER: &str = "note";

/// Says to tests that the example programs are built: see `ARE_BUILT` in tests/support/example_program.rs.
const EXAMPLES_ARE_BUILT: &str = "GREEN_TEST_EXAMPLES_ARE_BUILT";
/// As many of the test programs that took longest are named at the end.
const LONGEST: usize = 8;
/// So much, in bytes, of what a failed one said last is said once more at the end: who sees only the end of a log sees why.
const LAST_WORDS: u64 = 4_000;

/// Has cargo run the rest after a failure, as is done here.
const GO_ON: &str = "--no-fail-fast";

/// What selects test programs.
const SELECTS_PROGRAMS: &[&str] = &["--lib", "--test"];

/// What selects other targets, or asks for something else than a run.
const SELECTS: &[&str] = &[
    "--bin",
    "--bins",
    "--tests",
    "--example",
    "--examples",
    "--bench",
    "--benches",
    "--all-targets",
    "--doc",
    "--no-run",
    "--help",
    "-h",
];

/// Which targets arguments of `cargo test` leave.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// Several test programs.
    Programs,
    /// One test program, whose output is wanted while it runs; or something else. Cargo knows how.
    Other,
}

impl Selection {
    pub fn of(arguments: &[OsString]) -> Selection {
        let of_cargo = arguments.iter().take_while(|argument| *argument != "--");
        let names = of_cargo.filter_map(|argument| argument.to_str()?.split('=').next());
        let names: Vec<_> = names.collect();
        let count = |some: &[&str]| names.iter().filter(|name| some.contains(name)).count();
        match (count(SELECTS), count(SELECTS_PROGRAMS)) {
            (0, 0) => Selection::All,
            (0, 2..) => Selection::Programs,
            _ => Selection::Other,
        }
    }
}

/// A test program as cargo would run it.
struct Program {
    folder: OsString,
    /// The program itself is the first.
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// The runner's part: notes how `command` would have been run, here and now.
///
/// # Errors
///
/// Those of the file system.
pub fn note(notes: &Path, command: &[OsString]) -> io::Result<()> {
    let environment: Vec<_> = env::vars_os().collect();
    let mut text = Vec::new();
    let mut add = |word: &OsStr| {
        text.extend(word.as_bytes());
        text.push(0);
    };
    add(env::current_dir()?.as_os_str());
    add(OsStr::new(&command.len().to_string()));
    command.iter().for_each(|word| add(word));
    add(OsStr::new(&environment.len().to_string()));
    for (name, value) in &environment {
        add(name);
        add(value);
    }
    let mut notes = OpenOptions::new().append(true).create(true).open(notes)?;
    notes.write_all(&text)
}

/// What [`note`] has written.
fn noted(notes: &Path) -> io::Result<Vec<Program>> {
    let text = fs::read(notes)?;
    let mut words = text
        .split_inclusive(|byte| *byte == 0)
        .map(|word| OsString::from_vec(word[..word.len() - 1].to_vec()));
    let mut programs = Vec::new();
    while let Some(folder) = words.next() {
        let mut word = || words.next().ok_or(io::ErrorKind::UnexpectedEof);
        let count = |word: OsString| {
            let count = word.to_str().and_then(|count| count.parse().ok());
            count.ok_or(io::ErrorKind::InvalidData)
        };
        let command = (0..count(word()?)?)
            .map(|_| word())
            .collect::<Result<_, _>>()?;
        let environment = (0..count(word()?)?)
            .map(|_| Ok((word()?, word()?)))
            .collect::<Result<_, io::ErrorKind>>()?;
        programs.push(Program {
            folder,
            command,
            environment,
        });
    }
    Ok(programs)
}

impl Program {
    /// Runs it to its end; all that it says goes into the file.
    fn run(&self, output: &Path) -> io::Result<ExitStatus> {
        let mut program = Command::new(&self.command[0]);
        program
            .args(&self.command[1..])
            .current_dir(&self.folder)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        into_file(&mut program, output)?.status()
    }

    /// Where it is, seen from the repository.
    fn name(&self) -> String {
        let path = Path::new(&self.command[0]);
        let here = env::current_dir().unwrap_or_default();
        path.strip_prefix(here)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// Has both of its outputs go into one file, in the order in which it writes.
fn into_file<'a>(command: &'a mut Command, output: &Path) -> io::Result<&'a mut Command> {
    let output = File::create(output)?;
    Ok(command.stdout(output.try_clone()?).stderr(output))
}

/// A folder of this run's own, gone with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let name = format!("suite-{}", std::process::id());
        let folder = Folder(env::current_exe()?.with_file_name(name));
        fs::create_dir(&folder.0)?;
        Ok(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs everything that `cargo test --workspace` would with these arguments, which leave `selection`; `cargo` makes such a
/// command.
///
/// # Errors
///
/// When something cannot be started, or what it says not be kept.
pub fn run(
    cargo: impl Fn() -> Command,
    arguments: &[OsString],
    selection: &Selection,
) -> io::Result<ExitCode> {
    let is_whole = *selection == Selection::All;
    // With the example programs, which tests run.
    let mut build = cargo();
    if !build.arg("--no-run").args(arguments).status()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let folder = Folder::new()?;
    let notes = folder.file("notes");
    let runner = format!(
        "target.'cfg(all())'.runner = [{:?}, {RUNNER:?}, {notes:?}]",
        env::current_exe()?
    );
    let said = folder.file("said");
    let mut list = cargo();
    list.args(["--config", &runner]);
    if is_whole {
        list.arg("--tests");
    }
    list.args(arguments);
    // The runner notes it with the rest of the environment. A package that is left out may be the one that has them.
    let mut names = arguments.iter().filter_map(|argument| argument.to_str());
    if is_whole && !names.any(|name| name.starts_with("--exclude")) {
        list.env(EXAMPLES_ARE_BUILT, "1");
    }
    if !into_file(&mut list, &said)?.status()?.success() {
        show(&said)?;
        return Ok(ExitCode::FAILURE);
    }
    let programs = noted(&notes)?;

    let mut examples = cargo();
    examples.arg("--doc");
    if !arguments.iter().any(|argument| argument == GO_ON) {
        examples.arg(GO_ON);
    }
    examples.args(arguments);
    let examples_said = folder.file("examples");
    let mut examples = match is_whole {
        true => Some(into_file(&mut examples, &examples_said)?.spawn()?),
        false => None,
    };
    let mut failed = Vec::new();
    let mut times = Vec::new();
    let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..programs.len()).collect());
    let output = |number: usize| folder.file(&number.to_string());
    thread::scope(|scope| {
        let (done, ended) = mpsc::channel();
        for worker in 0..SIDE_BY_SIDE {
            let (done, waiting, programs, output) = (done.clone(), &waiting, &programs, &output);
            scope.spawn(move || {
                // From both ends: tests/whole_programs is the longest and the last, and would be waited for by itself.
                let next = || {
                    let mut waiting = waiting.lock().ok()?;
                    if worker % 2 == 0 {
                        waiting.pop_front()
                    } else {
                        waiting.pop_back()
                    }
                };
                while let Some(number) = next() {
                    let began = Instant::now();
                    let status = programs[number].run(&output(number));
                    if done.send((number, status, began.elapsed())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut early = Vec::new();
        early.resize_with(programs.len(), || None);
        for (number, program) in programs.iter().enumerate() {
            println!("     Running {}", program.name());
            while early[number].is_none() {
                let (number, status, took) = ended.recv().map_err(io::Error::other)?;
                early[number] = Some(status?);
                times.push((took, number));
            }
            show(&output(number))?;
            if let Some(status) = early[number].filter(|status| !status.success()) {
                failed.push((format!("{} ({status})", program.name()), output(number)));
            }
        }
        io::Result::Ok(())
    })?;
    if let Some(examples) = &mut examples {
        if !examples.wait()?.success() {
            let name = "the examples of the documentation".to_owned();
            failed.push((name, examples_said.clone()));
        }
        show(&examples_said)?;
    }
    times.sort_unstable_by(|one, other| other.cmp(one));
    for (took, number) in times.iter().take(LONGEST) {
        let name = programs[*number].name();
        println!("{:8.1} s in {name}", took.as_secs_f32());
    }
    for (name, said) in &failed {
        println!("error: failed: {name}; what it said last:");
        show_from(said, fs::metadata(said)?.len().saturating_sub(LAST_WORDS))?;
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(file: &Path) -> io::Result<()> {
    show_from(file, 0)
}

fn show_from(file: &Path, start: u64) -> io::Result<()> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(start))?;
    io::copy(&mut file, &mut io::stdout())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_test_programs_run_side_by_side_and_what_else_is_selected_is_left_to_cargo() {
        let of = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            Selection::of(&arguments)
        };
        let features = [
            "--no-fail-fast",
            "--features",
            "greenhub/engine-may",
            "name",
        ];
        assert_eq!(of(&[]), Selection::All);
        assert_eq!(of(&features), Selection::All);
        assert_eq!(of(&["--", "--test-threads=1", "--test"]), Selection::All);
        assert_eq!(of(&["--lib", "--test=a"]), Selection::Programs);
        assert_eq!(of(&["--test", "a", "--test", "b"]), Selection::Programs);
        assert_eq!(of(&["--test", "a", "--", "--nocapture"]), Selection::Other);
        assert_eq!(of(&["--test=a"]), Selection::Other);
        assert_eq!(of(&["--doc"]), Selection::Other);
        assert_eq!(of(&["--lib", "--test=a", "--no-run"]), Selection::Other);
    }

    #[test]
    fn programs_are_noted_in_their_order_with_all_that_they_need() {
        let folder = Folder::new().unwrap();
        let notes = folder.file("notes");
        let commands = [vec!["one"], vec!["two", "", "a b\n"]];
        for command in &commands {
            let command: Vec<_> = command.iter().map(OsString::from).collect();
            note(&notes, &command).unwrap();
        }
        let programs = noted(&notes).unwrap();
        assert_eq!(programs.len(), commands.len());
        for (program, command) in programs.iter().zip(commands) {
            assert_eq!(program.command, command);
            assert_eq!(program.folder, env::current_dir().unwrap());
            let here: Vec<_> = env::vars_os().collect();
            assert_eq!(program.environment, here);
        }
    }
}
