//! What a listener does for its sessions.

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settings {
    pub(super) allow_remote: bool,
    pub(super) read_only: bool,
}
