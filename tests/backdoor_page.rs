//! The backdoor's page in a real browser: headless Chromium, driven over its debugging protocol.
//!
//! Skipped, with the reason printed, where there is none or it does not start.

use std::time::Duration;

use green::backdoor::Server;
use green::thread::{Builder, JoinHandle, park, sleep};

mod browser;

use browser::{Browser, LIMIT, Tab, find_browser};

fn named(name: &str) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(park).unwrap()
}

fn end(thread: JoinHandle<()>) {
    thread.kill().unwrap();
    let _ = thread.join();
}

/// Whether a line of the first hub's colour is in the chart.
const CHART_IS_DRAWN: &str = "(() => {
    const chart = document.getElementById('chart');
    const { data } = chart.getContext('2d').getImageData(0, 0, chart.width, chart.height);
    const near = (n, value) => Math.abs(data[n] - value) < 16;
    for (let n = 0; n < data.length; n += 4) {
        if (data[n + 3] > 100 && near(n, 0x2e) && near(n + 1, 0x9e) && near(n + 2, 0x5b)) return true;
    }
    return false;
})()";

#[test]
fn the_page_shows_green_threads_hubs_and_the_chart_as_they_change() {
    let Some(program) = find_browser() else {
        eprintln!("skipped: there is no chromium in PATH");
        return;
    };
    test_support::bounded("page in a browser", LIMIT, move || {
        let first = named("first of all");
        let markup = named("<img id=smuggled src=x>");
        // A line apart from those of the hubs that do nothing.
        let busy = Builder::new().hub(0).spawn(|| {
            loop {
                sleep(Duration::from_millis(1));
            }
        });
        let server = Server::new().count_cpu().http("127.0.0.1:0").unwrap();
        let mut browser = Browser::start(&program);
        let door = match browser.door() {
            Ok(door) => door,
            Err(reason) => return eprintln!("skipped: {reason}"),
        };
        let mut tab = Tab::open(door, &server.url().unwrap());

        tab.shows(
            "a report",
            "document.getElementById('status').textContent === 'live'",
        );
        let row = |name: &str| {
            format!(
                "[...document.querySelectorAll('#threads tr')].some((row) =>
                    row.cells[1].textContent === {name:?} && row.cells[4].textContent === 'park')"
            )
        };
        tab.shows("a green thread", &row("first of all"));
        tab.shows("a name as it is", &row("<img id=smuggled src=x>"));
        assert_eq!(
            tab.value("document.getElementById('smuggled') === null"),
            true
        );
        let hubs = green::hub_count().unwrap();
        let count = "document.querySelectorAll('#hubs tr').length - 1";
        assert_eq!(tab.value(count), hubs);
        assert_eq!(
            tab.value("document.querySelectorAll('#legend i').length"),
            hubs
        );
        tab.shows("the chart", CHART_IS_DRAWN);

        // As they come and go.
        let later = named("later");
        tab.shows("one that came", &row("later"));
        end(later);
        tab.shows("that it has gone", &format!("!{}", row("later")));

        let search = "const field = document.getElementById('match');
            field.value = 'FIRST OF'; field.dispatchEvent(new Event('input'))";
        tab.value(search);
        // With the head of the table.
        let found = "document.querySelectorAll('#threads tr').length === 2";
        tab.shows(
            "what was looked for",
            &format!("{found} && {}", row("first of all")),
        );

        drop(server);
        let gone =
            "document.getElementById('status').textContent === 'the program does not answer'";
        tab.shows("that the program has gone", gone);
        end(busy.unwrap());
        end(first);
        end(markup);
    });
}
