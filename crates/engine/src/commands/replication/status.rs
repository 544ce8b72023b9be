//! `REPLICATION STATUS`: how synchronisations go, and why as they do. INFO shows the same as rows.

use crate::exec::{Args, Exec};
use crate::state::ServerState;
use commandtable::Outcome;
use replication::primary::ReplicaReport;
use replication::replica::SyncReport;
use replication::sync::Amount;
use std::fmt::Display;

/// A figure: a name, and a number or a word.
pub(crate) type Figure = (&'static str, Value);

/// What a figure says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number.
    Int(i64),
    /// A word or sentence; may be empty.
    Text(String),
}

impl Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Int(number) => number.fmt(f),
            Value::Text(text) => text.fmt(f),
        }
    }
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// -1 stands for what is not known or not to come.
fn optional(number: Option<u64>) -> Value {
    number.map_or(Value::Int(-1), int)
}

fn text(what: Option<impl Display>) -> Value {
    Value::Text(what.map(|what| what.to_string()).unwrap_or_default())
}

fn compression(is_agreed: bool) -> Value {
    Value::Text(if is_agreed { "lz4" } else { "no" }.into())
}

fn amount(snapshot: &Amount) -> [Figure; 5] {
    [
        ("done_bytes", int(snapshot.done_bytes)),
        ("total_bytes", optional(snapshot.total_bytes)),
        (
            "total_is_estimate",
            Value::Int(i64::from(snapshot.is_estimate)),
        ),
        ("bytes_per_second", int(snapshot.rate)),
        ("left_ms", optional(snapshot.left_ms())),
    ]
}

/// The synchronisation with our primary; `None` on a primary.
pub(crate) fn link_figures(state: &ServerState) -> Option<Vec<Figure>> {
    let side = state.repl.link.as_ref()?;
    let (memory, spill) = (side.config.buffer_bytes_max, side.config.spill_bytes_max);
    let report = side.link.report(state.repl.now_ms, memory, spill);
    let SyncReport {
        mode,
        why_full,
        why_classic,
        phase,
        compressed,
        snapshot,
        buffer_bytes,
        buffer_bytes_max,
        buffer_bytes_peak,
        spilled_bytes,
        spilled_bytes_peak,
        spill_bytes_max,
        main,
        rdb,
        failures,
        failures_total,
        cause,
        next_attempt_ms,
    } = report;
    let mut figures = vec![
        ("mode", text(mode)),
        ("not_partial_reason", text(why_full)),
        ("not_dual_channel_reason", text(why_classic)),
        ("phase", Value::Text(phase.as_str().into())),
        ("compression", compression(compressed)),
    ];
    figures.extend(amount(&snapshot));
    figures.extend([
        ("buffer_bytes", int(buffer_bytes)),
        ("buffer_limit_bytes", int(buffer_bytes_max)),
        ("buffer_peak_bytes", int(buffer_bytes_peak)),
        ("spilled_bytes", int(spilled_bytes)),
        ("spilled_peak_bytes", int(spilled_bytes_peak)),
        ("spill_limit_bytes", int(spill_bytes_max)),
        ("main_channel_bytes_in", int(main.bytes_in)),
        ("main_channel_bytes_out", int(main.bytes_out)),
        ("rdb_channel_bytes_in", int(rdb.bytes_in)),
        ("rdb_channel_bytes_out", int(rdb.bytes_out)),
        ("failures", Value::Int(i64::from(failures))),
        ("failures_total", int(failures_total)),
        ("last_failure", Value::Text(cause)),
        ("next_attempt_ms", optional(next_attempt_ms)),
    ]);
    Some(figures)
}

/// The synchronisation of one of our replicas.
pub(crate) fn replica_figures(state: &ServerState, report: &ReplicaReport) -> Vec<Figure> {
    let client = state.clients.get(report.client.0);
    let traffic = client.map_or((0, 0), |client| (client.net_in, client.net_out));
    let channel = if report.is_rdb_channel { "rdb" } else { "main" };
    let mut figures = vec![
        ("replica", Value::Text(report.name.clone())),
        ("channel", Value::Text(channel.into())),
        ("client_id", int(report.client.0)),
        ("mode", text(report.mode)),
        ("not_partial_reason", text(report.why_full)),
        ("not_dual_channel_reason", text(report.why_classic)),
        ("phase", Value::Text(report.phase.into())),
        (
            "compression",
            compression(state.repl.hub.is_compressed(report.client)),
        ),
    ];
    figures.extend(amount(&report.snapshot));
    figures.extend([
        ("buffer_bytes", int(report.pinned_bytes)),
        ("buffer_limit_bytes", int(report.pinned_bytes_max)),
        ("buffer_peak_bytes", int(report.pinned_bytes_peak)),
        ("stream_bytes_out", int(report.stream_sent)),
        ("bytes_in", int(traffic.0)),
        (
            "bytes_out",
            int(traffic.1.saturating_add(report.snapshot.done_bytes)),
        ),
        ("grace_left_ms", optional(report.grace_left_ms)),
    ]);
    figures
}

/// What concerns all of our replicas.
pub(crate) fn primary_figures(state: &ServerState) -> Vec<Figure> {
    let hub = &state.repl.hub;
    let (failures, cause) = hub.failures();
    let rate = hub.paced_to();
    vec![
        ("failures_total", int(failures)),
        ("last_failure", Value::Text(cause.to_owned())),
        ("spooled_offset", optional(hub.spooled_offset())),
        ("spool_served", int(hub.stats().spool_served)),
        ("pacing", Value::Int(i64::from(rate.is_some()))),
        ("paced_to_bytes_per_second", optional(rate)),
        ("paced_ms", int(state.stats.paced_ms)),
        ("paced_commands", int(state.stats.paced_commands)),
    ]
}

/// The reports of our replicas, with figures of this moment.
pub(crate) fn reports(state: &mut ServerState) -> Vec<ReplicaReport> {
    state.count_sent();
    let repl = &mut state.repl;
    repl.with_hub(|hub, env| hub.reports(env))
}

/// `REPLICATION STATUS`: how replication goes, towards the primary and towards the replicas.
///
/// Reply: a map: `role`; `primary`, on a replica, with the figures of its synchronisation; `replicas`, a list of maps, one for
/// each connection; `replication`, what concerns them all; `contradictions`, settings that cancel each other.
/// Errors: none.
/// Propagates: nothing.
/// Source: our own. The rows of INFO that begin with `repl_sync_` say the same.
pub(super) fn status(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    let link = link_figures(x.state);
    let reports = reports(x.state);
    let replicas: Vec<_> = reports
        .iter()
        .map(|report| replica_figures(x.state, report))
        .collect();
    let all = primary_figures(x.state);
    let contradictions = config::contradictions(&x.state.config);
    let out = &mut *x.out;
    out.map(4 + usize::from(link.is_some()));
    out.bulk(b"role");
    out.bulk(if link.is_some() { b"slave" } else { b"master" });
    if let Some(figures) = link {
        out.bulk(b"primary");
        write(out, &figures);
    }
    out.bulk(b"replicas");
    out.array(replicas.len());
    for figures in &replicas {
        write(out, figures);
    }
    out.bulk(b"replication");
    write(out, &all);
    out.bulk(b"contradictions");
    out.array(contradictions.len());
    for sentence in contradictions {
        out.bulk(sentence.as_bytes());
    }
    Ok(())
}

fn write(out: &mut resp::Reply, figures: &[Figure]) {
    out.map(figures.len());
    for (name, value) in figures {
        out.bulk(name.as_bytes());
        match value {
            Value::Int(number) => out.int(*number),
            Value::Text(text) => out.bulk(text.as_bytes()),
        }
    }
}

/// `REPLICATION HELP`.
///
/// Reply: lines of help.
/// Errors: none.
/// Propagates: nothing.
/// Source: our own.
pub(super) fn help(x: &mut Exec<'_>, _args: Args<'_>) -> Outcome {
    x.reply_help(
        "REPLICATION",
        &[
            "STATUS",
            "    Explain the synchronization with the primary and those of the replicas.",
        ],
    );
    Ok(())
}
