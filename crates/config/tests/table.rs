//! The parameter table against the facts of Valkey 8.0.1 in `tests/data`.

use config::{Config, Flags, Kind, Param, TABLE, Unit};

const FACTS: &str = include_str!("data/config-8.0.1.tsv");
const ENUMS: &str = include_str!("data/config-enums-8.0.1.json");

/// Parameters that the reference does not have.
const OURS: &[Param] = &[
    Param::LuaFunctionLoadTimeout,
    Param::LuaMemoryLimit,
    Param::LuaScriptCacheLimit,
    Param::ReplCompression,
    Param::ReplSnapshotSpool,
    Param::ReplSyncPacing,
    Param::ReplicaRefuseEmptyPrimary,
    Param::ReplicaSyncBufferSpillMax,
    Param::TlsStrictCertificates,
];

/// Bounds as the fact file writes them.
fn bound(text: &str) -> i128 {
    match text {
        "INT_MIN" => i32::MIN.into(),
        "INT_MAX" => i32::MAX.into(),
        "UINT_MAX" => u32::MAX.into(),
        "LONG_MAX" | "LLONG_MAX" | "SSIZE_MAX" => i64::MAX.into(),
        "ULONG_MAX" | "ULLONG_MAX" => u64::MAX.into(),
        "1024 * 1024" => 1024 * 1024,
        "0777" => 0o777,
        number => number.parse().unwrap(),
    }
}

fn flag(word: &str) -> Flags {
    match word {
        "modifiable" => Flags::MODIFIABLE,
        "immutable" => Flags::IMMUTABLE,
        "sensitive" => Flags::SENSITIVE,
        "hidden" => Flags::HIDDEN,
        "protected" => Flags::PROTECTED,
        "deny_loading" => Flags::DENY_LOADING,
        "debug" => Flags::DEBUG,
        "multi_arg" => Flags::MULTI_ARG,
        "volatile" => Flags::VOLATILE,
        other => panic!("{other}"),
    }
}

#[test]
fn every_row_agrees_with_the_reference() {
    let defaults = Config::default();
    let facts: Vec<Vec<&str>> = FACTS
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(facts.len() + OURS.len(), TABLE.len());
    let rows = TABLE.iter().filter(|row| !OURS.contains(&row.param));
    for (fact, row) in facts.iter().zip(rows) {
        let [name, alias, kind, flags, min, max, default] = fact.as_slice() else {
            panic!("{fact:?}")
        };
        assert_eq!(row.name, *name);
        assert_eq!(row.alias.unwrap_or(""), *alias, "{name}");
        assert_eq!(row.kind.name(), *kind, "{name}");
        let flags = flags.split(',').map(flag).fold(Flags::NONE, Flags::and);
        assert_eq!(row.flags, flags, "{name}");
        if let Kind::Number {
            min: least,
            max: most,
            ..
        } = row.kind
        {
            assert_eq!((least, most), (bound(min), bound(max)), "{name}");
        }
        if *default != "(hidden)" {
            assert_eq!(
                String::from_utf8(defaults.print(row.param)).unwrap(),
                *default,
                "{name}"
            );
        }
    }
}

#[test]
fn words_of_choices_are_those_of_the_reference() {
    // One list of words per line group; the file is simple enough to be cut at its brackets.
    let lists: Vec<Vec<&str>> = ENUMS
        .split('[')
        .skip(1)
        .map(|part| {
            part.split(']')
                .next()
                .unwrap()
                .split('"')
                .skip(1)
                .step_by(2)
                .collect()
        })
        .collect();
    let mut seen = vec![false; lists.len()];
    for row in TABLE {
        if let Kind::Choice(words) = row.kind
            && !OURS.contains(&row.param)
        {
            let at = lists
                .iter()
                .position(|list| list == words)
                .unwrap_or_else(|| panic!("{}", row.name));
            seen[at] = true;
        }
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn rows_are_in_order_and_found_by_name_and_alias() {
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(row.param as usize, index);
        assert_eq!(
            Param::find(row.name.to_uppercase().as_bytes()),
            Some(row.param)
        );
        if let Some(alias) = row.alias {
            assert_eq!(Param::find(alias.as_bytes()), Some(row.param));
        }
    }
    assert!(TABLE.is_sorted_by_key(|row| row.name));
    assert_eq!(Param::find(b"include"), None);
}

#[test]
fn bounds_fit_the_fields() {
    for row in TABLE {
        let Kind::Number { min, max, unit, .. } = row.kind else {
            continue;
        };
        // Plain numbers are read as signed ones, whatever the bound says.
        let max = match unit {
            Unit::Plain => max.min(i64::MAX.into()),
            _ => max,
        };
        for value in [min, max] {
            let text = match row.param {
                Param::Unixsocketperm => format!("{value:o}"),
                _ if unit == Unit::MemoryOrPercent && value < 0 => format!("{}%", -value),
                _ => value.to_string(),
            };
            let mut config = Config::default();
            let taken = config.set(row.param, &[text.as_bytes()], config::Phase::Startup);
            assert_eq!(taken, Ok(()), "{} {text}", row.name);
            if !matches!(row.param, Param::Hz | Param::ReplBacklogSize) {
                assert_eq!(
                    String::from_utf8(config.print(row.param)).unwrap(),
                    text,
                    "{}",
                    row.name
                );
            }
        }
    }
}
