use super::{BYTES_MAX, Buffer, KEPT_BYTES};

#[test]
fn has_the_wanted_length_up_to_the_most_that_one_call_moves() {
    for wanted in [0, 1, KEPT_BYTES, KEPT_BYTES + 1, BYTES_MAX] {
        assert_eq!(Buffer::new(wanted).as_ref().len(), wanted);
    }
    assert_eq!(Buffer::new(BYTES_MAX + 1).as_ref().len(), BYTES_MAX);
}

#[test]
fn gathers_and_scatters_in_turn() {
    let buffer = Buffer::gather([&b"one"[..], b"", b"two"].into_iter());
    assert_eq!(buffer.as_ref(), b"onetwo");
    let (mut first, mut second) = ([0; 2], [0; 9]);
    buffer.scatter(5, [&mut first[..], &mut second].into_iter());
    assert_eq!((&first, &second[..4]), (b"on", &b"etw\0"[..]));
}

#[test]
fn gathers_no_more_than_one_call_moves() {
    let half = vec![1; BYTES_MAX / 2 + 7];
    let buffer = Buffer::gather([&half[..], &half].into_iter());
    assert_eq!(buffer.as_ref().len(), BYTES_MAX);
}
