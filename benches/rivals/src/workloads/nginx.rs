//! Becomes nginx, which thereby has the core, the priority and the limits that this process was given. It serves in
//! this one process.

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

use program::{Arguments, PAGE};

/// Its name on the command line.
pub const PROGRAM: &str = "nginx";

pub fn http1(_: &Arguments) -> io::Result<()> {
    become_nginx("http1", "")
}

pub fn http2(_: &Arguments) -> io::Result<()> {
    become_nginx("http2", "http2")
}

/// Returns only if it fails. Its files are in a directory of that name beside this executable.
fn become_nginx(name: &str, protocol: &str) -> io::Result<()> {
    let directory = env::current_exe()?.with_file_name(format!("nginx-{name}"));
    fs::create_dir_all(&directory)?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let settings = format!(
        r#"
daemon off;
master_process off;
error_log stderr error;
pid pid;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path bodies;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {{
        listen {address} {protocol};
        location = /hello {{ return 200 "{PAGE}"; }}
    }}
}}
"#
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, settings)?;
    program::announce(address)?;
    // It listens a moment later, which the generator waits for.
    Err(Command::new(PROGRAM)
        .arg("-p")
        .arg(&directory)
        .arg("-c")
        .arg(&file)
        .exec())
}
