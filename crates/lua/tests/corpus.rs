//! The inputs that fuzzing started from and what it has found, fed to the parts that they are for.

#[path = "../../../fuzz/src/lua_parts.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "a library of its own for cargo-fuzz"
)]
mod lua_parts;

use std::path::Path;

#[test]
fn every_part_takes_the_inputs_that_fuzzing_has_found() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for part in lua_parts::PARTS {
        let folder = std::fs::read_dir(corpus.join(part.name)).expect("each part has inputs");
        let mut inputs = 0;
        for entry in folder {
            let path = entry.expect("a folder can be read").path();
            let data = std::fs::read(&path).expect("an input can be read");
            lua_parts::feed(part, &data);
            inputs += 1;
        }
        assert!(inputs > 0, "{}", part.name);
    }
}
