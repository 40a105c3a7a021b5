//! What a listener does for its sessions.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use greenhub::{discard_panic, report};

use crate::metrics::{Metrics, prometheus};

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) allow_remote: bool,
    pub(super) read_only: bool,
    pub(super) counted: Counted,
}

/// Whose figures are told, beside those of the hubs.
#[derive(Clone, Default)]
pub(super) struct Counted(Vec<(String, Arc<dyn Metrics + Send + Sync>)>);

impl Counted {
    pub(super) fn add(&mut self, name: &str, source: impl Metrics + Send + Sync + 'static) {
        self.0.push((name.to_owned(), Arc::new(source)));
    }

    /// All of them as Prometheus reads them; `None` if one of the program's own panicked.
    pub(super) fn text(&self) -> Option<String> {
        let report = report();
        let hubs: (&str, &dyn Metrics) = ("", &report);
        let others = self
            .0
            .iter()
            .map(|(name, source)| (&**name, &**source as &dyn Metrics));
        catch_unwind(AssertUnwindSafe(|| {
            prometheus(std::iter::once(hubs).chain(others))
        }))
        .map_err(discard_panic)
        .ok()
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}
