//! The setting, and what a report says of it.

use std::io::ErrorKind;

use greenhub::{Config, ThreadLocals, report};

use crate::alone;
use crate::library::c_library;

fn told() -> &'static str {
    green::run(|| ());
    report().thread_locals
}

#[test]
fn shared_is_what_was_asked_for() {
    let name = "setting::shared_is_what_was_asked_for";
    alone(name, &[("GREEN_THREAD_LOCALS", "shared")], || {
        assert_eq!(report().thread_locals, "");
        assert_eq!(told(), "shared by the green threads of a hub, as set");
        let text = report().to_string();
        assert!(text.starts_with("thread-locals are shared"), "{text}");
    })
    .well();
}

#[test]
fn the_program_s_own_setting_goes_before_the_environment_s() {
    let name = "setting::the_program_s_own_setting_goes_before_the_environment_s";
    alone(name, &[("GREEN_THREAD_LOCALS", "own")], || {
        Config::new()
            .thread_locals(ThreadLocals::Shared)
            .apply()
            .unwrap();
        assert!(told().starts_with("shared"), "{}", told());
    })
    .well();
}

#[test]
fn auto_never_fails_and_says_what_it_came_to() {
    let name = "setting::auto_never_fails_and_says_what_it_came_to";
    alone(name, &[("GREEN_THREAD_LOCALS", "auto")], || {
        let told = told();
        let own = told == "each green thread's own";
        assert!(
            own || told.starts_with("shared by the green threads of a hub: "),
            "{told}"
        );
    })
    .well();
}

#[test]
fn a_value_that_is_none_of_the_three_is_named() {
    let name = "setting::a_value_that_is_none_of_the_three_is_named";
    alone(name, &[("GREEN_THREAD_LOCALS", "mine")], || {
        static NAMED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        struct Remarks;
        impl log::Log for Remarks {
            fn enabled(&self, _: &log::Metadata<'_>) -> bool {
                true
            }
            fn log(&self, record: &log::Record<'_>) {
                if record.level() == log::Level::Warn {
                    let _ = NAMED.set(record.args().to_string());
                }
            }
            fn flush(&self) {}
        }
        log::set_logger(&Remarks).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        told();
        let remark = NAMED.get().expect("a remark");
        assert!(
            remark.contains("\"mine\"") && remark.contains("auto"),
            "{remark}"
        );
    })
    .well();
}

/// A C library that does not say which glibc it is, as another one would not.
#[test]
fn a_proof_that_fails_is_an_error_with_own_and_none_with_auto() {
    let name = "setting::a_proof_that_fails_is_an_error_with_own_and_none_with_auto";
    let source = "const char *gnu_get_libc_version(void) { return \"another\"; }";
    let Some(library) = c_library("another_version", source) else {
        return;
    };
    for mode in ["own", "auto"] {
        let preload = library.to_str().unwrap();
        alone(
            name,
            &[("GREEN_THREAD_LOCALS", mode), ("LD_PRELOAD", preload)],
            || {
                let why = "glibc's version is \"another\"";
                if std::env::var("GREEN_THREAD_LOCALS").unwrap() == "own" {
                    let error = greenhub::hub_count().unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                    assert!(error.to_string().ends_with(why), "{error}");
                } else {
                    assert!(told().ends_with(why), "{}", told());
                }
            },
        )
        .well();
    }
}

/// An allocator with a structure for each thread cannot be the hub's in part.
#[test]
fn an_allocator_that_keeps_much_for_each_thread_is_told() {
    let name = "setting::an_allocator_that_keeps_much_for_each_thread_is_told";
    let source = "
        #include <stddef.h>
        extern void *__libc_malloc(size_t);
        static __thread size_t counts[32];
        void *malloc(size_t size) {
            counts[size % 32] += 1;
            counts[(size + 7) % 32] += 1;
            return __libc_malloc(size);
        }";
    let Some(library) = c_library("counting_malloc", source) else {
        return;
    };
    let preload = library.to_str().unwrap();
    alone(
        name,
        &[("GREEN_THREAD_LOCALS", "auto"), ("LD_PRELOAD", preload)],
        || {
            assert!(told().contains("the allocator keeps"), "{}", told());
        },
    )
    .well();
}
