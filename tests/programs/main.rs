//! The example programs, run as a user would.

mod asyncio;
mod backdoor;
#[path = "../browser/mod.rs"]
mod browser;
mod httpd;
mod json_service;
mod mistakes;
mod reverse_proxy;
mod small;
mod tls;
mod web;
mod web_chat;
