//! Measures encoding and decoding of a million small string keys, and LZF over text.
//!
//! `cargo run -p rdb --profile fast --example bench`
#![allow(clippy::disallowed_methods, reason = "tests and tools measure time")]
#![allow(clippy::print_stdout, reason = "a tool for people at a terminal")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use packed::Listpack;
use rdb::lzf::{Compressor, decompress};
use rdb::{Discard, Event, Loaded, Reader, ReaderOptions, Text, ValueType, Writer, WriterOptions};

const KEYS: usize = 1_000_000;
const ROUNDS: usize = 5;

fn best(mut run: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap_or_default()
}

fn encode(data: &[([u8; 16], Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default());
    writer.begin()?;
    writer.select_db(0)?;
    writer.resize_db(data.len() as u64, 0)?;
    for (key, value) in data {
        writer.key(ValueType::String, key)?;
        writer.string(value)?;
    }
    writer.finish()
}

fn decode(file: &[u8]) -> rdb::Result<(usize, usize)> {
    let mut reader = Reader::new(file, ReaderOptions::default());
    reader.header()?;
    let (mut keys, mut bytes) = (0, 0);
    let mut key = Vec::new();
    loop {
        match reader.next(&mut key)? {
            Event::Key(_) => {
                keys += 1;
                bytes += match reader.string()? {
                    Text::Int(_) => 8,
                    Text::Borrowed(value) => black_box(value).len(),
                    Text::Owned(value) => black_box(value).len(),
                };
                black_box(&key);
            }
            Event::Eof(_) => return Ok((keys, bytes)),
            _ => {}
        }
    }
}

/// A hundred thousand hashes of `fields` fields, packed.
fn hashes(fields: usize) -> Result<(), Box<dyn std::error::Error>> {
    const HASHES: usize = 100_000;
    let listpacks: Vec<Listpack> = (0..HASHES)
        .map(|i| {
            let mut listpack = Listpack::new();
            for field in 0..fields {
                listpack.push_back(format!("field:{field}").as_bytes());
                listpack.push_back(format!("value {}", i * field).as_bytes());
            }
            listpack
        })
        .collect();
    let encode = || -> std::io::Result<Vec<u8>> {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default());
        writer.begin()?;
        for (i, listpack) in listpacks.iter().enumerate() {
            writer.key(ValueType::HashListpack, format!("hash:{i}").as_bytes())?;
            writer.blob(listpack.as_bytes())?;
        }
        writer.finish()
    };
    let decode = |file: &[u8]| -> rdb::Result<()> {
        let mut reader = Reader::new(file, ReaderOptions::default());
        reader.header()?;
        let mut key = Vec::new();
        while let Event::Key(head) = reader.next(&mut key)? {
            let loaded = reader.value(head.type_, &mut Discard)?;
            assert_eq!(loaded, Loaded::Value);
        }
        Ok(())
    };
    let file = encode()?;
    println!("{HASHES} hashes of {fields} fields: {} bytes", file.len());
    let time = best(|| drop(black_box(encode())));
    println!("{:28} {time:>10.2?}", "encode");
    let time = best(|| drop(black_box(decode(&file))));
    println!("{:28} {time:>10.2?}", "decode and check");
    Ok(())
}

fn rate(name: &str, bytes: usize, time: Duration) {
    let per_key = time.as_secs_f64() * 1e9 / KEYS as f64;
    let speed = bytes as f64 / time.as_secs_f64() / 1e6;
    println!("{name:28} {time:>10.2?}  {per_key:>6.1} ns/key  {speed:>7.0} MB/s");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for value_bytes in [16, 100] {
        let data: Vec<([u8; 16], Vec<u8>)> = (0..KEYS as u64)
            .map(|i| {
                let noise = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let mut key = [b'k'; 16];
                key[4..].copy_from_slice(format!("{i:012}").as_bytes());
                let value = format!("{noise:016x}").into_bytes();
                (key, value.into_iter().cycle().take(value_bytes).collect())
            })
            .collect();
        let file = encode(&data)?;
        println!(
            "{KEYS} keys of 16 + {value_bytes} bytes: {} bytes",
            file.len()
        );
        let time = best(|| drop(black_box(encode(&data))));
        rate("encode", file.len(), time);
        let time = best(|| drop(black_box(decode(&file))));
        rate("decode", file.len(), time);
    }

    hashes(5)?;
    hashes(20)?;

    let text: Vec<u8> = (0..KEYS)
        .flat_map(|i| format!("{{\"id\":{i},\"name\":\"user {}\"}},", i * 7919 % 1000).into_bytes())
        .collect();
    let noise: Vec<u8> = (0..text.len() as u64)
        .map(|i| (i.wrapping_mul(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    let mut compressor = Compressor::new();
    for piece in [64, 1000, 65_536] {
        let mut packed = 0;
        let time = best(|| {
            packed = text
                .chunks(piece)
                .map(|c| compressor.compress(c).map_or(c.len(), <[u8]>::len))
                .sum();
        });
        println!("text in pieces of {piece}: {} -> {packed}", text.len());
        rate("lzf compress", text.len(), time);
        let time = best(|| {
            for c in noise.chunks(piece) {
                black_box(compressor.compress(c));
            }
        });
        rate("lzf compress noise", noise.len(), time);
        let pieces: Vec<(Vec<u8>, usize)> = text
            .chunks(piece)
            .filter_map(|c| compressor.compress(c).map(|p| (p.to_vec(), c.len())))
            .collect();
        let mut out = Vec::new();
        let time = best(|| {
            for (packed, size) in &pieces {
                out.clear();
                assert!(decompress(packed, *size, &mut out).is_ok());
            }
        });
        rate(
            "lzf decompress",
            pieces.iter().map(|(_, size)| size).sum(),
            time,
        );
    }
    Ok(())
}
