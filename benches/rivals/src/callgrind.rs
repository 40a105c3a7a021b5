//! Counts the instructions that a program executes outside the kernel, with
//! callgrind. Unlike time, the count does not depend on what else the machine
//! does; it says nothing of caches, nor of what the system calls cost.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::process::Running;
use crate::scenario::{Cores, Run};

/// A program under callgrind.
#[derive(Debug)]
pub struct Counted {
    pub program: Running,
    report: PathBuf,
    /// How many reports it has written.
    reports: usize,
}

impl Counted {
    pub fn start(run: &Run) -> io::Result<Counted> {
        let name = format!(
            "rivals-callgrind-{}-{}",
            std::process::id(),
            run.variant.workload
        );
        let report = std::env::temp_dir().join(name);
        let out = format!("--callgrind-out-file={}", report.display());
        let tool = ["valgrind", "--quiet", "--tool=callgrind", &out];
        let program = run.bench.start_under(&tool, run.variant, Cores::Shared)?;
        Ok(Counted {
            program,
            report,
            reports: 0,
        })
    }

    /// Counts the instructions that the program executes while `work` runs.
    pub fn count<T>(&mut self, work: impl FnOnce() -> io::Result<T>) -> io::Result<(f64, T)> {
        self.control("--zero")?;
        let outcome = work()?;
        self.control("--dump")?;
        self.reports += 1;
        let report = self.report.with_extension(self.reports.to_string());
        let text = fs::read_to_string(&report)?;
        fs::remove_file(&report)?;
        let total = text
            .lines()
            .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
            .ok_or_else(|| io::Error::other("callgrind reports no total"))?;
        Ok((total, outcome))
    }

    fn control(&self, command: &str) -> io::Result<()> {
        let status = Command::new("callgrind_control")
            .args([command, &self.program.pid().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other("callgrind has gone"))
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Written at the program's end, and of no further use.
        let _ = fs::remove_file(&self.report);
    }
}
