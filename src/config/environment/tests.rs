use std::os::unix::ffi::OsStrExt;

use super::*;

fn hubs(value: &[u8]) -> (usize, Vec<String>) {
    let mut remarks = Vec::new();
    let value = OsStr::from_bytes(value);
    let used = number_in("GREEN_HUBS", value, 1..=1024, || 2, &mut remarks);
    (used, remarks)
}

#[test]
fn what_can_be_used_leaves_no_remark() {
    for (value, used) in [("1", 1), (" 7\n", 7), ("1024", 1024)] {
        assert_eq!(hubs(value.as_bytes()), (used, Vec::new()));
    }
}

#[test]
fn what_cannot_is_told_with_what_holds_in_its_place() {
    let default = "is not a number in digits alone: 2 is used, the default";
    let cases: [(&[u8], usize, String); 6] = [
        (
            b"1025",
            1024,
            "\"1025\" is too large: 1024 is used, the most there can be".to_owned(),
        ),
        (
            b"0",
            1,
            "\"0\" is too small: 1 is used, the least there can be".to_owned(),
        ),
        (b"", 2, format!("\"\" {default}")),
        (b"-1", 2, format!("\"-1\" {default}")),
        (b"\xff", 2, format!("\"\u{fffd}\" {default}")),
        (
            b"99999999999999999999",
            2,
            "\"99999999999999999999\" is too large: 2 is used, the default".to_owned(),
        ),
    ];
    for (value, used, told) in cases {
        assert_eq!(hubs(value), (used, vec![format!("GREEN_HUBS={told}")]));
    }
}
