//! The page for a directory that has no `index.html`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use crate::target::{self, Target};

/// One line of the page.
#[derive(Debug)]
pub struct Entry {
    pub name: OsString,
    pub is_directory: bool,
    pub len: u64,
    pub modified: SystemTime,
}

/// The page as HTML. Names come from the file system and are escaped wherever they appear.
pub fn page(target: &Target, entries: &[Entry]) -> String {
    let title = escape(&target.title());
    let mut rows = String::new();
    if !target.is_root() {
        rows.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in entries {
        let slash = if entry.is_directory { "/" } else { "" };
        rows.push_str(&format!(
            "<tr><td><a href=\"{link}{slash}\">{name}{slash}</a><td>{len}<td>{modified}\n",
            link = target::encode(entry.name.as_bytes()),
            name = escape(&entry.name.to_string_lossy()),
            len = if entry.is_directory {
                String::new()
            } else {
                entry.len.to_string()
            },
            modified = httpdate::fmt_http_date(entry.modified),
        ));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font:16px/1.5 sans-serif;margin:2em}}td{{padding-right:2em}}\
         td:nth-child(2){{text-align:right}}</style></head>\n\
         <body><h1>{title}</h1>\n<table>\n{rows}</table></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
