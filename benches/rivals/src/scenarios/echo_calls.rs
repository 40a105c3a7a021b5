//! System calls that the server makes for one echo request.

use std::io;

use super::echo;
use crate::scenario::{
    Better, Bound, Cores, Measurement, Metric, Run, Scenario, Target, nothing_to_prepare,
};
use crate::strace;

pub const SCENARIO: Scenario = Scenario {
    name: "echo-calls",
    about: "System calls of the server for one 64-byte echo request, counted by strace",
    case_unit: "connections",
    cases: |options| echo::connections(options, &[1, 64]),
    variants: &[
        echo::RAW,
        echo::GREEN,
        echo::GREEN_GUARDED,
        echo::TOKIO,
        echo::MAY,
        echo::THREADS,
    ],
    metrics: &[
        Metric {
            name: "system calls",
            unit: "a request",
            better: Better::Less,
            compared: true,
        },
        Metric {
            name: "reads",
            unit: "a request",
            better: Better::Less,
            compared: false,
        },
        Metric {
            name: "writes",
            unit: "a request",
            better: Better::Less,
            compared: false,
        },
        Metric {
            name: "polls",
            unit: "a request",
            better: Better::Less,
            compared: false,
        },
        Metric {
            name: "others",
            unit: "a request",
            better: Better::Less,
            compared: false,
        },
    ],
    targets: &[to(1), to(64)],
    prepare: nothing_to_prepare,
    start,
};

const fn to(case: usize) -> Target {
    let (variant, rival) = (echo::GREEN.name, Some(echo::RAW.name));
    // A call more in a hundred requests is a matter of the moment of counting.
    Target {
        variant,
        rival,
        metric: "system calls",
        case,
        bound: Bound::AtMost(1.01),
    }
}

fn start<'a>(run: &Run<'a>) -> io::Result<Measurement<'a>> {
    let bench = run.bench;
    let requests = 200 * run.case.max(10) as u64;
    let mut server = bench.start(run.variant, Cores::Pinned)?;
    let mut load = bench.load(server.listening()?, run.case, Cores::Pinned)?;
    Ok(Box::new(move || {
        load.closed(echo::WARM_UP)?;
        let (calls, answer) = strace::count(&server, || load.count(requests))?;
        Ok(by_kind(&calls, answer["requests"]))
    }))
}

/// The calls for each of `requests`: all, reads, writes, polls, others.
pub fn by_kind(calls: &[(String, f64)], requests: f64) -> Vec<f64> {
    let counted = |names: &[&str]| {
        let of_names = calls
            .iter()
            .filter(|(name, _)| names.contains(&name.as_str()));
        of_names.map(|(_, count)| count).sum::<f64>() / requests
    };
    let all = calls.iter().map(|(_, count)| count).sum::<f64>() / requests;
    let reads = counted(&["read", "readv", "recvfrom", "recvmsg"]);
    let writes = counted(&["write", "writev", "sendto", "sendmsg"]);
    let polls = counted(&["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"]);
    let others = (all - reads - writes - polls).max(0.0);
    vec![all, reads, writes, polls, others]
}
