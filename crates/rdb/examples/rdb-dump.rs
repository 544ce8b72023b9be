//! Prints what stands in an RDB file.
//!
//! `cargo run -p rdb --example rdb-dump -- dump.rdb`
#![allow(clippy::print_stdout, reason = "a tool for people at a terminal")]

use std::fs::File;

use packed::{Element, Intset, Listpack};
use rdb::{Accept, Event, Kind, Loaded, Reader, ReaderOptions, Text, ValueSink};

/// Prints every part of a value, escaped.
struct Printer;

fn show(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

fn show_text(text: &Text<'_>) -> String {
    match text {
        Text::Int(number) => number.to_string(),
        Text::Borrowed(bytes) => show(bytes),
        Text::Owned(bytes) => show(bytes),
    }
}

impl ValueSink for Printer {
    fn string(&mut self, value: Text<'_>) -> Accept {
        println!("  {}", show_text(&value));
        Ok(())
    }
    fn begin(&mut self, kind: Kind, size_hint: usize) -> Accept {
        println!("  {kind:?} of about {size_hint}");
        Ok(())
    }
    fn element(&mut self, element: Text<'_>) -> Accept {
        println!("    {}", show_text(&element));
        Ok(())
    }
    fn field(&mut self, field: &[u8], value: Text<'_>) -> Accept {
        println!("    {}: {}", show(field), show_text(&value));
        Ok(())
    }
    fn member(&mut self, member: &[u8], score: f64) -> Accept {
        println!("    {}: {score}", show(member));
        Ok(())
    }
    fn listpack(&mut self, kind: Kind, listpack: Listpack) -> Accept {
        println!("  {kind:?} listpack of {}", listpack.len());
        for element in listpack.iter() {
            match element {
                Element::Int(number) => println!("    {number}"),
                Element::Bytes(bytes) => println!("    {}", show(bytes)),
            }
        }
        Ok(())
    }
    fn plain_node(&mut self, element: Vec<u8>) -> Accept {
        println!("  plain node: {} bytes", element.len());
        Ok(())
    }
    fn intset(&mut self, intset: Intset) -> Accept {
        println!("  intset of {}", intset.len());
        for number in intset.iter() {
            println!("    {number}");
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: rdb-dump FILE")?;
    let file = File::open(path)?;
    let options = ReaderOptions {
        total_bytes: Some(file.metadata()?.len()),
        ..ReaderOptions::default()
    };
    let mut reader = Reader::new(file, options);
    println!("version {}", reader.header()?);
    let mut key = Vec::new();
    loop {
        match reader.next(&mut key)? {
            Event::Aux { key, value } => println!("aux {} = {}", show(&key), show(&value)),
            Event::Function(code) => println!("function {}", show(&code)),
            Event::Key(head) => {
                println!("key {} {head:?}", show(&key));
                if reader.value(head.type_, &mut Printer)? == Loaded::Empty {
                    println!("  empty: a server skips this key");
                }
            }
            Event::Eof(checksum) => {
                println!("end at {}: {checksum:x?}", reader.offset());
                return Ok(());
            }
            other => println!("{other:?}"),
        }
    }
}
