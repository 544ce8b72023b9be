//! Cuts at every byte: whatever connection breaks and wherever, both ends come to the same data again and nothing of
//! the broken attempt is left.

mod sim;

use replication::replica::{Channel, LoadMode};
use sim::world::{Cut, World};
use std::rc::Rc;

#[derive(Debug, Clone, Copy)]
struct Mode {
    dual: bool,
    /// The primary speaks as Redis does.
    redis: bool,
    diskless: bool,
    load: LoadMode,
    /// Bytes a pipe moves per step.
    chunk: usize,
    order: Order,
    /// The primary keeps a file of its snapshot.
    spool: bool,
}

/// Which half of a dual-channel sync is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Neither is held up.
    Natural,
    /// The snapshot takes long to load, and its stream long to apply.
    MainFirst,
    /// Nothing arrives on the main channel for a while after it was parked.
    RdbFirst,
}

/// A sync with writes before, during and after, and a cut. Returns the bytes each channel carried each way, and how many
/// snapshots were taken.
fn sync(mode: Mode, cut: Option<Cut>) -> ([(usize, usize); 2], usize) {
    let mut world = World::new();
    let (p, r) = (world.add("P"), world.add("R"));
    world.chunk = mode.chunk;
    world.nodes[p].redis = mode.redis;
    let primary = Rc::make_mut(&mut world.nodes[p].primary);
    (primary.dual_channel, primary.diskless_sync) = (mode.dual, mode.diskless);
    primary.backlog_bytes = 16 * 1024;
    primary.spool_bytes = if mode.spool { 1 << 20 } else { 0 };
    // Some of them are compressed.
    let compression = !mode.redis && (mode.load == LoadMode::SwapDb || !mode.diskless);
    primary.compression = compression;
    let replica = Rc::make_mut(&mut world.nodes[r].replica);
    replica.compression = compression;
    (replica.dual_channel, replica.load_mode) = (mode.dual, mode.load);
    world.write(p, 3, b"before");
    world.write(r, 0, b"old");
    world.cut = cut;
    world.replicaof(r, p);
    let mut carried = [(0, 0); 2];
    for i in 0..60u32 {
        // Writes fall between the small steps of the sync, not only between its phases.
        for _ in 0..3 {
            for wire in &world.wires {
                let place = &mut carried[usize::from(wire.conn.channel == Channel::Rdb)];
                *place = (place.0.max(wire.down.moved), place.1.max(wire.up.moved));
            }
            world.step();
            let parked = world.wires.iter().any(|w| w.conn.channel == Channel::Rdb);
            let late = i < 50;
            world.nodes[r].hold_load = mode.order == Order::MainFirst && late && i < 40;
            world.nodes[r].hold_drain = mode.order == Order::MainFirst && late;
            let stalled = mode.order == Order::RdbFirst
                && late
                && (parked || world.nodes[r].stalled.is_some());
            world.nodes[r].stalled = stalled.then_some(Channel::Main);
        }
        if i % 6 == 0 {
            world.write(p, i % 4, format!("during {i}").as_bytes());
        }
    }
    world.nodes[r].hold_load = false;
    world.nodes[r].hold_drain = false;
    world.nodes[r].stalled = None;
    for _ in 0..100 {
        world.run(100);
        if world.nodes[r].link.state().as_str() == "connected"
            && world.nodes[p].data == world.nodes[r].data
        {
            break;
        }
    }
    world.write(p, 9, b"after");
    world.run(1500);
    world.assert_same(p, r);
    world.assert_clean();
    assert_eq!(
        world.nodes[p].hub.replicas_waiting_psync(),
        0,
        "a pin is left"
    );
    assert_eq!(
        world.nodes[p]
            .hub
            .acked(world.nodes[p].hub.history().offset),
        1
    );
    (carried, world.nodes[p].forks)
}

fn cut_everywhere(mode: Mode) {
    let (carried, _) = sync(mode, None);
    assert!(carried[0].0 > 100 && carried[0].1 > 100, "{carried:?}");
    assert_eq!(
        carried[1].0 > 100 && carried[1].1 > 100,
        mode.dual,
        "{carried:?}"
    );
    for (channel, (down, up)) in [Channel::Main, Channel::Rdb].into_iter().zip(carried) {
        for (down, bytes) in [(true, down), (false, up)] {
            for after in 0..bytes {
                let cut = Cut {
                    channel,
                    down,
                    after,
                };
                let result = std::panic::catch_unwind(|| sync(mode, Some(cut)));
                assert!(result.is_ok(), "{mode:?} {cut:?}");
            }
        }
    }
}

#[test]
fn a_classic_sync_through_a_file_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: false,
        redis: false,
        diskless: false,
        load: LoadMode::Disabled,
        chunk: 64,
        order: Order::Natural,
        spool: false,
    });
}

#[test]
fn a_classic_streamed_sync_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: false,
        redis: false,
        diskless: true,
        load: LoadMode::SwapDb,
        chunk: 64,
        order: Order::Natural,
        spool: false,
    });
}

#[test]
fn a_dual_channel_sync_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: false,
        diskless: true,
        load: LoadMode::Disabled,
        chunk: 64,
        order: Order::Natural,
        spool: false,
    });
}

#[test]
fn a_dual_channel_sync_into_the_parser_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: false,
        diskless: true,
        load: LoadMode::SwapDb,
        chunk: 17,
        order: Order::Natural,
        spool: false,
    });
}

#[test]
fn a_dual_channel_sync_with_a_slow_load_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: false,
        diskless: true,
        load: LoadMode::Disabled,
        chunk: 32,
        order: Order::MainFirst,
        spool: false,
    });
}

#[test]
fn a_dual_channel_sync_with_a_late_main_channel_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: false,
        diskless: true,
        load: LoadMode::Disabled,
        chunk: 32,
        order: Order::RdbFirst,
        spool: false,
    });
}

#[test]
fn syncs_with_a_snapshot_that_is_kept_survive_a_cut_at_every_byte() {
    for (dual, load, order) in [
        (true, LoadMode::Disabled, Order::Natural),
        (true, LoadMode::SwapDb, Order::RdbFirst),
        (false, LoadMode::SwapDb, Order::Natural),
    ] {
        cut_everywhere(Mode {
            dual,
            diskless: true,
            load,
            chunk: 32,
            order,
            spool: true,
            redis: false,
        });
    }
}

#[test]
fn a_snapshot_that_is_kept_is_gone_on_with_after_a_cut() {
    for dual in [true, false] {
        let mode = Mode {
            dual,
            diskless: true,
            load: LoadMode::Disabled,
            chunk: 16,
            order: Order::Natural,
            spool: true,
            redis: false,
        };
        let channel = if dual { Channel::Rdb } else { Channel::Main };
        let (carried, forks) = sync(mode, None);
        assert_eq!(forks, 1);
        // Within the snapshot: behind its header, before its mark.
        let after = if dual { carried[1].0 - 50 } else { 130 };
        let cut = Cut {
            channel,
            down: true,
            after,
        };
        let (_, forks) = sync(mode, Some(cut));
        assert_eq!(forks, 1, "dual channel: {dual}");
        let (_, forks) = sync(
            Mode {
                spool: false,
                ..mode
            },
            Some(cut),
        );
        assert_eq!(forks, 2, "dual channel: {dual}");
    }
}

#[test]
fn a_dual_channel_sync_as_with_redis_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: true,
        diskless: true,
        load: LoadMode::Disabled,
        chunk: 64,
        order: Order::Natural,
        spool: false,
    });
}

#[test]
fn a_dual_channel_sync_as_with_redis_with_a_slow_load_survives_a_cut_at_every_byte() {
    cut_everywhere(Mode {
        dual: true,
        redis: true,
        diskless: true,
        load: LoadMode::SwapDb,
        chunk: 32,
        order: Order::MainFirst,
        spool: false,
    });
}
