//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub const USAGE: &str = "\
Serves a directory over HTTP/1.1.

Usage: httpd [OPTIONS] [DIRECTORY]     (default: the current directory)

  --listen ADDRESS         where to listen          (127.0.0.1:8080)
  --tls CERT KEY           HTTPS, with this certificate and its key (PEM files)
  --connections N          most at a time           (three quarters of the descriptors)
  --request-limit SECONDS  for a whole request      (30)
  --idle-limit SECONDS     between two requests     (60)
  --stop-limit SECONDS     for requests in flight when asked to stop  (10)
  --help                   this page

Ctrl-C or SIGTERM stops it: no new connections, requests in flight are answered.
A second one ends it at once.";

/// What the user asked for.
#[derive(Debug)]
pub struct Options {
    pub directory: PathBuf,
    pub listen: String,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub connections: Option<usize>,
    pub request_limit: Duration,
    pub idle_limit: Duration,
    pub stop_limit: Duration,
    pub help: bool,
}

impl Options {
    /// Reads the arguments; an error is a sentence for the user.
    pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options {
            directory: PathBuf::from("."),
            listen: "127.0.0.1:8080".to_owned(),
            tls: None,
            connections: None,
            request_limit: Duration::from_secs(30),
            idle_limit: Duration::from_secs(60),
            stop_limit: Duration::from_secs(10),
            help: false,
        };
        while let Some(argument) = arguments.next() {
            let name = argument.to_string_lossy().into_owned();
            let mut value = || match arguments.next().map(OsString::into_string) {
                Some(Ok(value)) => Ok(value),
                _ if name == "--tls" => Err("--tls needs two files".to_owned()),
                _ => Err(format!("{name} needs a value")),
            };
            match name.as_str() {
                "--listen" => options.listen = value()?,
                "--tls" => options.tls = Some((value()?.into(), value()?.into())),
                "--connections" => {
                    let most = value()?.parse().ok().filter(|&most| most > 0);
                    options.connections = Some(most.ok_or("--connections takes a number above 0")?);
                }
                "--request-limit" => options.request_limit = seconds(&name, value()?)?,
                "--idle-limit" => options.idle_limit = seconds(&name, value()?)?,
                "--stop-limit" => options.stop_limit = seconds(&name, value()?)?,
                "--help" | "-h" => options.help = true,
                flag if flag.starts_with('-') => return Err(format!("there is no option {flag}")),
                _ => options.directory = argument.into(),
            }
        }
        Ok(options)
    }
}

fn seconds(name: &str, value: String) -> Result<Duration, String> {
    let seconds = value.parse().ok().filter(|&seconds: &f64| seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{name} takes a number of seconds above 0"))
}
