//! Loads a snapshot and says what is in it: `snapshot_tool FILE [COPY]`, writing it again to COPY if given.
//!
//! For comparing with the reference by digest, and for measuring: it prints the processor time of both steps.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool at the rim: it measures, so it reads clocks"
)]

use dataset::digest::Digest;
use dataset::snapshot::{Filter, Format, LoadOptions, SaveInfo, load, write};
use std::fs::File;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let path = args.next().ok_or("usage: snapshot_tool FILE [COPY]")?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    let file = File::open(path)?;
    let options = LoadOptions {
        total_bytes: Some(file.metadata()?.len()),
        ..LoadOptions::new(16, now_ms)
    };
    let started = Instant::now();
    let loaded = load(file, &options, &mut |_| true)?;
    let loading = started.elapsed();
    eprintln!("loaded {} keys in {loading:?}", loaded.keys_loaded);
    if let Some(copy) = args.next() {
        let info = SaveInfo {
            used_memory: loaded.used_memory,
            unix_seconds: loaded.created_at,
            compress: true,
            checksum: true,
            key_save_delay_us: 0,
            replication: loaded.replication,
            access: None,
            functions: loaded.functions.into(),
            filter: Filter::ALL,
            aof_base: false,
            format: Format::Current,
        };
        let started = Instant::now();
        write(&loaded.dbs, &info, &mut File::create(copy)?, &mut |_| ())?;
        eprintln!("saved in {:?}", started.elapsed());
    }
    if loaded.keys_loaded <= 100_000 {
        eprintln!("digest {}", Digest::of_dataset(&loaded.dbs));
    }
    Ok(())
}
