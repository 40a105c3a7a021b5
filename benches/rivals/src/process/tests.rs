use super::*;

const ANYWHERE: Place = Place {
    cpu: None,
    nice: None,
};

fn shell(script: &str) -> Running {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Running::start(command, ANYWHERE).unwrap()
}

#[test]
fn the_figures_of_a_program_are_read_by_name() {
    let results = shell("echo result time 2.5; echo result size 3").results();
    let expected = HashMap::from([("time".to_owned(), 2.5), ("size".to_owned(), 3.0)]);
    assert_eq!(results.unwrap(), expected);
}

#[test]
fn a_program_that_failed_is_quoted() {
    let results = shell("echo result time 2.5; echo failed no room; exit 1").results();
    assert_eq!(results.unwrap_err().to_string(), "no room");
}
