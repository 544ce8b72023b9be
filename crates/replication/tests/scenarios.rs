//! Runs every scenario in `tests/scenarios/`.

mod sim;

#[test]
fn every_scenario_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(&wanted) {
            eprintln!("{name}");
            sim::script::run(&name, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
