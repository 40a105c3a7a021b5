//! Two hundred operations of unmodified crates and C libraries at once: by green threads of one hub, and by as many OS threads.
//!
//! Each answer comes 50 ms late, from another process. Every round runs both kinds, one after the other; medians of wall time and of
//! this process's CPU time, and of the ratios of a round. A name as an argument runs that case alone.
#![expect(unsafe_code, reason = "the program is patched")]

mod cases;
mod late;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use green_monkey::{Patch, monkey_patch};
use test_support::net::On;

use cases::{Case, databases, http, libraries};
use late::Late;

const AT_ONCE: usize = 200;
const ROUNDS: usize = 7;
/// Has this program be the late servers.
const SERVE: &str = "serve";

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|word| word != "--bench");
    let wanted = arguments.next();
    if wanted.as_deref() == Some(SERVE) {
        return serve();
    }
    let config = green::Config::new().hubs(1).stack_size(256 * 1024);
    config.apply().expect("nothing has started");
    // SAFETY: nothing here relies on having an OS thread to itself.
    unsafe { monkey_patch(Patch::all()) }.expect("a patch that holds");
    let (late, mut server) = late_in_another_process();
    let cases: [(&str, &dyn Fn() -> Option<Case>); 11] = [
        ("ureq", &|| Some(http::ureq(&late))),
        ("minreq", &|| Some(http::minreq(&late))),
        ("attohttpc", &|| Some(http::attohttpc(&late))),
        ("native-tls", &|| Some(http::native_tls(&late))),
        ("redis", &databases::redis),
        ("memcache", &databases::memcache),
        ("mysql", &databases::mysql),
        ("postgres", &databases::postgres),
        ("r2d2", &|| Some(databases::r2d2())),
        ("libcurl", &|| libraries::libcurl(&late)),
        ("libpq", &libraries::libpq),
    ];
    println!("{AT_ONCE} at once, medians of {ROUNDS} rounds, in milliseconds");
    println!(
        "{:12} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}",
        "", "wall, OS", "green", "ratio", "CPU, OS", "green", "ratio"
    );
    for (name, case) in cases {
        if wanted.as_ref().is_none_or(|wanted| wanted == name)
            && let Some(case) = case()
        {
            compare(&case);
        }
    }
    server.kill().expect("the server runs");
    server.wait().expect("the server ends");
}

/// Tells what a client has to know, and answers until it is killed.
fn serve() {
    let late = Late::start();
    let authority = late.authority.trim_end();
    let said = format!("{}\n{}\n{authority}\n", late.http, late.tls_port);
    // At once: it is not read any further.
    std::io::stdout()
        .write_all(said.as_bytes())
        .expect("a pipe");
    // Its parent may end without a word.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn late_in_another_process() -> (Late, Child) {
    let program = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(program);
    command
        .arg(SERVE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut server = command.spawn().expect("this program once more");
    let said = BufReader::new(server.stdout.take().expect("a pipe"));
    let mut lines = said.lines().map(|line| line.expect("text"));
    let mut line = || lines.next().expect("what a client has to know");
    let (http, tls_port) = (line(), line().parse().expect("a port"));
    let is_inside = |line: &String| line != "-----END CERTIFICATE-----";
    let mut authority: Vec<String> = lines.by_ref().take_while(is_inside).collect();
    authority.push("-----END CERTIFICATE-----".to_owned());
    let authority = authority.join("\n");
    (
        Late {
            http,
            tls_port,
            authority,
        },
        server,
    )
}

/// Seconds.
struct Cost {
    wall: f64,
    cpu: f64,
}

fn compare(case: &Case) {
    let mut rounds = Vec::new();
    let (expected, _) = run(On::OsThreads, case);
    run(On::GreenThreads, case);
    for round in 0..ROUNDS {
        let one = |on| {
            let (answers, cost) = run(on, case);
            assert_eq!(answers, expected);
            cost
        };
        // Each is the first in every second round.
        rounds.push(if round % 2 == 0 {
            let os = one(On::OsThreads);
            (os, one(On::GreenThreads))
        } else {
            let green = one(On::GreenThreads);
            (one(On::OsThreads), green)
        });
    }
    let median = |of: &dyn Fn(&(Cost, Cost)) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[ROUNDS / 2]
    };
    println!(
        "{:12} {:8.0} {:8.0} {:8.2}   {:8.0} {:8.0} {:8.2}",
        case.name,
        median(&|(os, _)| os.wall * 1e3),
        median(&|(_, green)| green.wall * 1e3),
        median(&|(os, green)| green.wall / os.wall),
        median(&|(os, _)| os.cpu * 1e3),
        median(&|(_, green)| green.cpu * 1e3),
        median(&|(os, green)| green.cpu / os.cpu),
    );
}

fn run(on: On, case: &Case) -> (Vec<String>, Cost) {
    let (begun, before) = (Instant::now(), cpu_time());
    let all: Vec<_> = (0..AT_ONCE)
        .map(|n| {
            let case = case.clone();
            on.spawn(move || case.open(n)())
        })
        .collect();
    let answers = all.into_iter().map(|one| one.join()).collect();
    let cost = Cost {
        wall: begun.elapsed().as_secs_f64(),
        cpu: (cpu_time() - before).as_secs_f64(),
    };
    (answers, cost)
}

fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` lives across the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
