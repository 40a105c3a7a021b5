//! One client of the console: a prompt, a line, an answer.

use std::io;
use std::time::Duration;

use greenhub::greenio::GreenSocket;

use super::answers::{Answer, answer};
use super::line::{Input, Inputs, LONGEST};
use super::report_json::program;
use super::settings::Settings;

pub(super) const FULL: &str = "too many sessions\n";
const PROMPT: &str = "green> ";
/// How long a client may take over an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers a client until it leaves.
pub(super) fn serve(socket: &GreenSocket, settings: &Settings) -> io::Result<()> {
    socket.set_write_timeout(Some(PATIENCE))?;
    let say = |text: &str| socket.send_all(text.as_bytes());
    say(&format!(
        "green threads of {} (process {}); 'help' lists the commands\n{PROMPT}",
        program().escape_debug(),
        std::process::id()
    ))?;
    let mut lines = Inputs::new(socket);
    loop {
        let line = match lines.next()? {
            Input::Text(line) => line,
            Input::TooLong => {
                say(&format!("a line has {LONGEST} bytes at most\n"))?;
                return Ok(());
            }
            Input::End => return Ok(()),
        };
        match answer(&line, settings) {
            Answer::Text(mut text) => {
                text.push_str(PROMPT);
                say(&text)?;
            }
            Answer::End(text) => {
                say(&text)?;
                return Ok(());
            }
        }
    }
}
