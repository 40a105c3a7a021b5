//! A site to crawl: a tree of pages, served over HTTP/1.1 from memory.

use std::io::{self, BufRead, BufReader, Write};

use green::net::TcpStream;
use green::thread;

/// How many pages each page links to.
const CHILDREN: usize = 10;
/// What stands on each of them.
const WORDS: &str =
    "<p>Here would be what one comes for: a text of some length, with words in it.</p>\n";

/// Serves a site of so many pages, and gives its address.
pub fn serve(pages: usize) -> io::Result<String> {
    let listener = green::listen("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            match stream {
                Ok(stream) => drop(thread::spawn(move || answer(&stream, pages))),
                Err(error) => eprintln!("crawler: its own site: {error}"),
            }
        }
    });
    Ok(format!("http://{address}/0"))
}

/// Answers requests until the client has had enough.
fn answer(stream: &TcpStream, pages: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut lines, mut out) = (BufReader::new(stream), stream);
    let mut request = String::new();
    loop {
        request.clear();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let target = request.split(' ').nth(1).unwrap_or_default();
        let number = target.trim_start_matches('/').parse().ok();
        let (status, body) = match number.filter(|number| *number < pages) {
            Some(number) => ("200 OK", page(number, pages)),
            None => ("404 Not Found", String::new()),
        };
        let mut header = String::new();
        while header.trim_end() != "" || header.is_empty() {
            header.clear();
            if lines.read_line(&mut header)? == 0 {
                return Ok(());
            }
        }
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
        out.write_all(format!("{head}Content-Type: text/html\r\n\r\n{body}").as_bytes())?;
    }
}

fn page(number: usize, pages: usize) -> String {
    let first = number * CHILDREN + 1;
    let links: String = (first..first + CHILDREN)
        .filter(|child| *child < pages)
        .map(|child| format!("<li><a href=\"/{child}\">page {child}</a>\n"))
        .collect();
    let text = WORDS.repeat(10 + number % 20);
    format!(
        "<!DOCTYPE html>\n<title>{number}</title>\n<h1>Page {number}</h1>\n<ul>{links}</ul>\n{text}"
    )
}
