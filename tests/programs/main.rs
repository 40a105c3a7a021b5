//! The example programs, run as a user would.

mod asyncio;
mod backdoor;
mod httpd;
mod small;
mod tls;
mod web;
