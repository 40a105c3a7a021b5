//! Every public name of eventlet, gevent and asyncio stands in the guide's table, exactly once. The
//! links of the table to what stands for them are rustdoc's to check.
//!
//! `names.py` made the lists, from the versions that the guide names.

use std::collections::BTreeMap;

const GUIDE: &str = include_str!("../../../green/guide/coming_from.md");

/// The names in the first column of a section's table.
fn in_the_guide(section: &str) -> BTreeMap<String, usize> {
    let heading = format!("\n# {section}\n");
    let (_, text) = GUIDE.split_once(&heading).unwrap();
    let text = text.split("\n# ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let mut names = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').collect();
        assert_eq!(cells.len(), 5, "{row}");
        assert!(
            !cells[2].trim().is_empty() || !cells[3].trim().is_empty() || names_no_use(cells[1]),
            "neither a counterpart nor a reason: {row}"
        );
        for name in cells[1].split('`').skip(1).step_by(2) {
            for name in expand(name) {
                *names.entry(name).or_default() += 1;
            }
        }
    }
    names
}

/// A warning about eventlet itself.
fn names_no_use(cell: &str) -> bool {
    cell.trim() == "`EventletDeprecationWarning`"
}

/// `a.{b, c}` is `a.b` and `a.c`.
fn expand(name: &str) -> Vec<String> {
    match name.split_once('{') {
        None => vec![name.to_owned()],
        Some((front, rest)) => {
            let names = rest.strip_suffix('}').unwrap().split(", ");
            names.map(|name| format!("{front}{name}")).collect()
        }
    }
}

fn check(section: &str, list: &str) {
    let found = in_the_guide(section);
    let listed: Vec<_> = list.lines().collect();
    assert!(listed.len() > 200, "{}", listed.len());
    let missing: Vec<_> = listed
        .iter()
        .filter(|name| !found.contains_key(**name))
        .collect();
    let unknown: Vec<_> = found
        .keys()
        .filter(|name| !listed.contains(&name.as_str()))
        .collect();
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(
        missing.is_empty() && unknown.is_empty() && twice.is_empty(),
        "missing: {missing:?}\nunknown: {unknown:?}\ntwice: {twice:?}"
    );
}

#[test]
fn every_name_of_eventlet_has_its_row() {
    check("eventlet", include_str!("eventlet.txt"));
}

#[test]
fn every_name_of_gevent_has_its_row() {
    check("gevent", include_str!("gevent.txt"));
}

#[test]
fn every_name_of_asyncio_has_its_row() {
    check("asyncio", include_str!("asyncio.txt"));
}
