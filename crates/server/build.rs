//! Gives the program an identity: a digest of everything it is made of.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    let mut files = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
    for krate in fs::read_dir(root.join("crates"))? {
        let krate = krate?.path();
        for part in ["Cargo.toml", "build.rs", "data", "src"] {
            let part = krate.join(part);
            if part.exists() {
                println!("cargo::rerun-if-changed={}", part.display());
                collect(&part, &mut files)?;
            }
        }
    }
    println!(
        "cargo::rerun-if-changed={}",
        root.join("Cargo.lock").display()
    );
    files.sort();
    let mut digest = Fnv::default();
    for file in files {
        let name = file.strip_prefix(&root).unwrap_or(&file);
        digest.add(name.as_os_str().as_encoded_bytes());
        digest.add(&fs::read(&file)?);
    }
    println!("cargo::rustc-env=BUILD_ID={:016x}", digest.0);
    Ok(())
}

/// Adds a file, or all files of a folder.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(())
}

/// FNV-1a over 64 bits, with the length of each piece behind it.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in bytes.iter().chain(&length) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
