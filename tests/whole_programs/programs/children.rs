//! Child processes, with their input, output and ends.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

fn main() -> io::Result<ExitCode> {
    let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = sort.stdin.take().unwrap();
    std::thread::spawn(move || {
        for word in ["pear", "apple", "fig"] {
            writeln!(input, "{word}").unwrap();
        }
    });
    for line in BufReader::new(sort.stdout.take().unwrap()).lines() {
        std::println!("{}", line?);
    }
    std::println!("{}", sort.wait()?);

    let output = Command::new("sh").args(["-c", "echo $WORD; exit 3"]).env("WORD", "words").output()?;
    std::print!("{} {}", output.status.code().unwrap(), std::str::from_utf8(&output.stdout).unwrap());

    let mut sleeper = Command::new("sleep").arg("600").spawn()?;
    sleeper.kill()?;
    std::println!("{:?}", sleeper.wait()?.signal());
    Ok(ExitCode::from(7))
}
