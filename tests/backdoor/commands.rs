//! What the commands answer.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use green::metrics::{Figure, Metrics, prometheus};
use green::pool::GreenPool;
use greenhub::green_thread::{park, sleep};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn each_command_shows_what_it_names() {
    test_support::bounded("commands", LIMIT, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
        let address = listener.local_addr().unwrap();
        let acceptor = named("shop-acceptor", move || drop(listener.accept()));
        let parent = named("shop-parent", || named("shop-child", || sleep(HOUR)).join());
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let shop = loop {
            let shop = client.ask("threads shop-");
            if shop.matches("waits for").count() == 3 {
                break shop;
            }
        };
        let waits = format!("{} shop-acceptor on hub", id(&acceptor));
        assert!(
            shop.contains(&waits)
                && shop.contains(&format!(
                    "waits for fd {fd} readable [local {address}] since"
                )),
            "{shop}"
        );

        let about = client.ask(&format!("thread {}", id(&parent)));
        assert!(
            about.contains("shop-parent")
                && about.contains("started by an OS thread\nhas started:\n"),
            "{about}"
        );
        let child: u64 = {
            let mut lines = about.lines();
            let line = lines.find(|line| line.contains("shop-child")).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let about = client.ask(&format!("thread {child}"));
        assert!(
            about.contains("started by:\n") && about.contains("shop-parent"),
            "{about}"
        );

        let listeners = client.ask("listeners");
        let line = format!(
            "fd {fd} [local {address}]: read not ready, awaited by {}, write ",
            id(&acceptor)
        );
        assert!(listeners.contains(&line), "{listeners}");
        assert!(
            client
                .ask("timers")
                .contains(&format!(": {child} shop-child, sleep\n"))
        );
        let tree = client.ask("tree");
        assert!(
            tree.contains(&format!("\n  {child:>6} shop-child on hub ")),
            "{tree}"
        );
        let stats = client.ask("stats");
        for name in [
            "hubs",
            "green threads",
            "readable",
            "join",
            "sleep",
            "turns",
            "polls",
            "timers",
            "events",
        ] {
            assert!(stats.contains(name), "no {name} in\n{stats}");
        }

        let killed = client.ask(&format!("kill {child}"));
        assert_eq!(
            killed,
            format!("green thread {child} ends at its wait, or its next one\n")
        );
        let outcome = parent.join().unwrap();
        assert!(outcome.unwrap_err().is::<green::Killed>());
        while client.ask(&format!("thread {child}"))
            != format!("there is no green thread {child}\n")
        {}
        end(acceptor);
    });
}

#[test]
fn listings_name_both_ends_of_a_socket_beside_its_number() {
    test_support::bounded("ends", LIMIT, || {
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut console = tcp(&server);
        console.answer();

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut near = green::net::TcpStream::connect(address).unwrap();
        let (far, peer) = listener.accept().unwrap();
        let over_tcp = named("ends-tcp", move || {
            near.set_read_timeout(Some(HOUR)).unwrap();
            near.read(&mut [0])
        });

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop\n.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut near = green::os::unix::net::UnixStream::connect(&path).unwrap();
        let far_unix = listener.accept().unwrap().0;
        let over_unix = named("ends-unix", move || near.read(&mut [0]));

        let ends = [
            format!(" readable [local {peer}, peer {address}] since "),
            // On one line, whatever the path is.
            format!(
                " readable [local unnamed, peer {}/shop\\n.sock] since ",
                folder.path().display()
            ),
        ];
        let threads = loop {
            let threads = console.ask("threads ends-");
            if threads.matches("waits for").count() == 2 {
                break threads;
            }
        };
        for ends in &ends {
            assert!(threads.contains(ends), "no {ends:?} in\n{threads}");
        }
        let watched = format!(" [local {peer}, peer {address}]: read not ready, awaited by ");
        let listeners = console.ask("listeners");
        assert!(
            listeners.contains(&watched),
            "no {watched:?} in\n{listeners}"
        );
        let timed = format!(" readable [local {peer}, peer {address}]\n");
        let timers = console.ask("timers");
        assert!(timers.contains(&timed), "no {timed:?} in\n{timers}");

        drop((far, far_unix));
        assert_eq!(over_tcp.join().unwrap().unwrap(), 0);
        assert_eq!(over_unix.join().unwrap().unwrap(), 0);
    });
}

#[test]
fn top_names_who_uses_the_cpu() {
    test_support::bounded("top", LIMIT, || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let busy = named("busy-bee", || {
            while !OVER.load(SeqCst) {
                (0..10_000).for_each(|n| assert!(std::hint::black_box(n) >= 0));
                green::thread::yield_now();
            }
        });
        let lazy = named("lazy-bee", park);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        while !client.ask("threads lazy-bee").contains("waits for park") {}
        // On a busy machine a second may pass without it.
        let top = loop {
            let top = client.ask("top");
            if top.contains("busy-bee") {
                break top;
            }
        };
        assert!(top.starts_with("hub 0: "), "{top}");
        assert!(
            top.contains(" resumes a second, longest turn so far "),
            "{top}"
        );
        let line = top
            .lines()
            .find(|line| line.contains("busy-bee"))
            .unwrap_or_else(|| panic!("{top}"));
        let share: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
        assert!(share > 0.0 && share <= 150.0, "{line}");
        assert!(!top.contains("lazy-bee"), "{top}");
        assert!(
            !green::debug::CpuAccounting::is_on(),
            "counting ends with it"
        );
        OVER.store(true, SeqCst);
        busy.join().unwrap();
        end(lazy);
    });
}

#[test]
fn a_read_only_backdoor_kills_nobody() {
    test_support::bounded("read only", LIMIT, || {
        let victim = named("victim", park);
        let server = Server::new().read_only().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        assert_eq!(
            client.ask(&format!("kill {}", id(&victim))),
            "this backdoor is for reading only\n"
        );
        assert!(
            client
                .ask(&format!("thread {}", id(&victim)))
                .contains("victim")
        );
        victim.thread().unpark();
        victim.join().unwrap();
    });
}

fn hubs_alone() -> String {
    prometheus([("", &green::report() as &dyn Metrics)])
}

#[test]
fn metrics_are_what_prometheus_reads() {
    test_support::bounded("metrics", LIMIT, || {
        let sleepers: Vec<_> = (0..3).map(|_| named("metric", || sleep(HOUR))).collect();
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let mut client = tcp(&server);
        client.answer();
        let families = test_support::prometheus_text::parse(&client.ask("metrics"));
        let hubs = green::hub_count().unwrap();
        assert_eq!(families["green_hubs"].samples[0].value, hubs as f64);
        assert_eq!(families["green_hub_resumes_total"].samples.len(), hubs);
        assert_eq!(families["green_hub_resumes_total"].kind, "counter");
        let sleeping = || {
            let families = test_support::prometheus_text::parse(&hubs_alone());
            let states = &families["green_threads"].samples;
            let sleep = states
                .iter()
                .find(|sample| sample.labels == [("state".to_owned(), "sleep".to_owned())]);
            sleep.map_or(0.0, |sample| sample.value)
        };
        while sleeping() < 3.0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        sleepers.into_iter().for_each(end);
    });
}

#[test]
fn figures_of_the_program_s_own_stand_beside_those_of_the_hubs() {
    struct Odd;
    impl Metrics for Odd {
        fn tell(&self, to: &mut dyn FnMut(Figure<'_>)) {
            for word in ["a \"quote\"", "a \\ and\na line"] {
                to(Figure::gauge("shop_odd", "Odd things.", 0.5).labelled("what", word));
            }
        }
    }
    test_support::bounded("figures of one's own", LIMIT, || {
        let pools = [GreenPool::new(3), GreenPool::new(5)];
        let before = Server::new().tcp("127.0.0.1:0").unwrap();
        let server = Server::new()
            .metrics("first", pools[0].clone())
            .metrics("second", pools[1].clone())
            .metrics("", Odd)
            .tcp("127.0.0.1:0")
            .unwrap();
        pools[1].spawn(|| ()).join().unwrap();
        let mut client = tcp(&server);
        client.answer();
        let families = test_support::prometheus_text::parse(&client.ask("metrics"));
        assert!(families.contains_key("green_hub_resumes_total"));
        let values = |name: &str| {
            let samples = families[name].samples.iter();
            samples.map(|sample| sample.value).collect::<Vec<_>>()
        };
        assert_eq!(values("green_pool_size"), [3.0, 5.0]);
        assert_eq!(values("green_pool_started_total"), [0.0, 1.0]);
        assert_eq!(families["green_pool_started_total"].kind, "counter");
        let odd = &families["shop_odd"].samples;
        assert_eq!(
            odd[1].labels,
            [("what".to_owned(), "a \\ and\na line".to_owned())]
        );
        assert_eq!(odd[0].value, 0.5);
        // Each has its own.
        let mut client = tcp(&before);
        client.answer();
        assert!(!client.ask("metrics").contains("green_pool"));
    });
}

#[test]
fn the_console_answers_while_every_hub_is_held_up() {
    let name = "commands::the_console_answers_while_every_hub_is_held_up";
    test_support::child::alone(name, &[("GREEN_HUBS", "1")], || {
        static RUNS: AtomicBool = AtomicBool::new(false);
        static OVER: AtomicBool = AtomicBool::new(false);
        let server = Server::new().tcp("127.0.0.1:0").unwrap();
        let hog = named("hog", || {
            RUNS.store(true, SeqCst);
            while !OVER.load(SeqCst) {
                std::thread::yield_now();
            }
        });
        while !RUNS.load(SeqCst) {
            std::thread::yield_now();
        }
        let behind = named("behind", || ());
        let mut client = tcp(&server);
        client.answer();
        assert!(client.ask("threads hog").contains("hog on hub 0: runs"));
        assert!(
            client
                .ask("threads behind")
                .contains("behind on hub 0: new")
        );
        assert!(client.ask("hubs").contains("1 in the inbox"));
        assert!(client.ask("top").contains("; held up all the while\n"));
        OVER.store(true, SeqCst);
        hog.join().unwrap();
        behind.join().unwrap();
    })
    .well();
}
