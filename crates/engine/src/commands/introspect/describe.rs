//! Encodes entries of the command table as COMMAND INFO and COMMAND DOCS show them.

use resp::Reply;

use commandtable::{Arg, ArgKind, BeginSearch, CommandInfo, FindKeys, Flags, KeyFlags, KeySpec};

/// One entry of COMMAND INFO, the subcommands for which `known` holds included.
pub(super) fn info(reply: &mut Reply, command: &CommandInfo, known: &dyn Fn(&CommandInfo) -> bool) {
    reply.array(10);
    reply.bulk(command.full_name.as_bytes());
    reply.int(command.docs.arity.into());
    let flags = command.flags.without(Flags::HIDDEN);
    reply.set(flags.len());
    for name in flags.names() {
        reply.simple(name.as_bytes());
    }
    for index in [command.first_key, command.last_key, command.step] {
        reply.int(index.into());
    }
    reply.set(command.acl.len());
    for name in command.acl.names() {
        reply.simple(format!("@{name}").as_bytes());
    }
    reply.set(command.docs.tips.len());
    for tip in command.docs.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(command.key_specs.len());
    for spec in command.key_specs {
        key_spec(reply, spec);
    }
    // An array also without any: the reference has an empty set then, which makes two types of one field.
    reply.array(command.subcommands.iter().filter(|sub| known(sub)).count());
    for sub in command.subcommands.iter().filter(|sub| known(sub)) {
        info(reply, sub, known);
    }
}

/// The flags of a key as both COMMAND INFO and COMMAND GETKEYSANDFLAGS show them.
pub(super) fn key_flags(reply: &mut Reply, flags: KeyFlags) {
    reply.set(flags.len());
    for name in flags.names() {
        reply.simple(name.as_bytes());
    }
}

fn key_spec(reply: &mut Reply, spec: &KeySpec) {
    reply.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        field(reply, "notes", notes);
    }
    reply.bulk(b"flags");
    key_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    reply.map(2);
    match spec.begin {
        BeginSearch::Unknown => unknown(reply),
        BeginSearch::Index(index) => {
            field(reply, "type", "index");
            numbers(reply, &[("index", index)]);
        }
        BeginSearch::Keyword { word, start_from } => {
            field(reply, "type", "keyword");
            reply.bulk(b"spec");
            reply.map(2);
            field(reply, "keyword", word);
            reply.bulk(b"startfrom");
            reply.int(start_from.into());
        }
    }
    reply.bulk(b"find_keys");
    reply.map(2);
    match spec.find {
        FindKeys::Unknown => unknown(reply),
        FindKeys::Range {
            last_key,
            step,
            limit,
        } => {
            field(reply, "type", "range");
            numbers(
                reply,
                &[("lastkey", last_key), ("keystep", step), ("limit", limit)],
            );
        }
        FindKeys::KeyNum {
            keynum_index,
            first_key,
            step,
        } => {
            field(reply, "type", "keynum");
            numbers(
                reply,
                &[
                    ("keynumidx", keynum_index),
                    ("firstkey", first_key),
                    ("keystep", step),
                ],
            );
        }
    }
}

fn unknown(reply: &mut Reply) {
    field(reply, "type", "unknown");
    numbers(reply, &[]);
}

fn numbers(reply: &mut Reply, fields: &[(&str, i32)]) {
    reply.bulk(b"spec");
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int((*value).into());
    }
}

/// The name of a command and its documentation, the subcommands for which `known` holds included.
pub(super) fn docs(reply: &mut Reply, command: &CommandInfo, known: &dyn Fn(&CommandInfo) -> bool) {
    let docs = command.docs;
    reply.bulk(command.full_name.as_bytes());
    let optional = [
        !docs.complexity.is_empty(),
        !docs.flags.is_empty(),
        docs.deprecated_since.is_some(),
        docs.replaced_by.is_some(),
        !docs.history.is_empty(),
        !docs.args.is_empty(),
        command.is_container(),
    ];
    reply.map(3 + count(optional));
    field(reply, "summary", docs.summary);
    field(reply, "since", docs.since);
    field(reply, "group", docs.group);
    if !docs.complexity.is_empty() {
        field(reply, "complexity", docs.complexity);
    }
    if !docs.flags.is_empty() {
        reply.bulk(b"doc_flags");
        reply.set(docs.flags.len());
        for name in docs.flags.names() {
            reply.simple(name.as_bytes());
        }
    }
    optional_field(reply, "deprecated_since", docs.deprecated_since);
    optional_field(reply, "replaced_by", docs.replaced_by);
    if !docs.history.is_empty() {
        reply.bulk(b"history");
        reply.set(docs.history.len());
        for (version, change) in docs.history {
            reply.array(2);
            reply.bulk(version.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    if !docs.args.is_empty() {
        reply.bulk(b"arguments");
        arguments(reply, docs.args);
    }
    if command.is_container() {
        reply.bulk(b"subcommands");
        reply.map(command.subcommands.iter().filter(|sub| known(sub)).count());
        for sub in command.subcommands.iter().filter(|sub| known(sub)) {
            self::docs(reply, sub, known);
        }
    }
}

fn arguments(reply: &mut Reply, args: &[Arg]) {
    reply.array(args.len());
    for arg in args {
        let is_group = matches!(arg.kind, ArgKind::OneOf | ArgKind::Block);
        let optional = [
            arg.display_text.is_some(),
            arg.key_spec_index.is_some(),
            arg.token.is_some(),
            arg.since.is_some(),
            arg.deprecated_since.is_some(),
            !arg.flags.is_empty(),
            is_group,
        ];
        reply.map(2 + count(optional));
        field(reply, "name", arg.name);
        field(reply, "type", arg.kind.name());
        optional_field(reply, "display_text", arg.display_text);
        if let Some(index) = arg.key_spec_index {
            reply.bulk(b"key_spec_index");
            reply.int(index.into());
        }
        optional_field(reply, "token", arg.token);
        optional_field(reply, "since", arg.since);
        optional_field(reply, "deprecated_since", arg.deprecated_since);
        if !arg.flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(arg.flags.len());
            for name in arg.flags.names() {
                reply.simple(name.as_bytes());
            }
        }
        if is_group {
            reply.bulk(b"arguments");
            arguments(reply, arg.args);
        }
    }
}

fn field(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn optional_field(reply: &mut Reply, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        field(reply, name, value);
    }
}

fn count(present: [bool; 7]) -> usize {
    present.into_iter().filter(|present| *present).count()
}
