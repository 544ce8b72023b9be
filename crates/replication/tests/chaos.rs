//! Whatever happens in whatever order: once the world is left alone, every replica has its primary's data.
//!
//! Three servers in changing chains and stars, with writes, cuts, crashes, killed children, promotions, stalled
//! loads and changed settings at random points of a sync.

mod sim;

use proptest::prelude::*;
use replication::replica::{Channel, LoadMode};
use sim::world::World;
use std::rc::Rc;

#[derive(Debug, Clone)]
enum Event {
    Write {
        db: u32,
        count: usize,
        bytes: usize,
    },
    Steps(usize),
    Run(u64),
    Cut(usize, Channel),
    KillChild(usize),
    Crash(usize),
    HoldLoad(usize, bool),
    HoldDrain(usize, bool),
    Stall(usize, Option<Channel>),
    Dual(usize, bool),
    Diskless(bool),
    Spill(usize, bool),
    Spool(bool),
    /// Whether a node wants compression, as a primary and as a replica.
    Compress(usize, bool),
    Load(usize, LoadMode),
    /// The node becomes the root of everything.
    Promote(usize),
    /// The node follows the root directly, else by way of the other one.
    Follow(usize, bool),
    ForkFails(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0usize..3;
    let channel = prop_oneof![Just(Channel::Main), Just(Channel::Rdb)];
    let load = prop_oneof![
        Just(LoadMode::Disabled),
        Just(LoadMode::OnEmptyDb),
        Just(LoadMode::SwapDb)
    ];
    prop_oneof![
        8 => (0u32..3, 1usize..20, 8usize..200).prop_map(|(db, count, bytes)| Event::Write { db, count, bytes }),
        12 => (1usize..60).prop_map(Event::Steps),
        4 => (1u64..30).prop_map(|n| Event::Run(n * 100)),
        3 => (node.clone(), channel.clone()).prop_map(|(n, c)| Event::Cut(n, c)),
        1 => node.clone().prop_map(Event::KillChild),
        1 => node.clone().prop_map(Event::Crash),
        2 => (node.clone(), any::<bool>()).prop_map(|(n, b)| Event::HoldLoad(n, b)),
        2 => (node.clone(), any::<bool>()).prop_map(|(n, b)| Event::HoldDrain(n, b)),
        2 => (node.clone(), prop::option::of(channel)).prop_map(|(n, c)| Event::Stall(n, c)),
        1 => (node.clone(), any::<bool>()).prop_map(|(n, b)| Event::Dual(n, b)),
        1 => any::<bool>().prop_map(Event::Diskless),
        1 => (node.clone(), any::<bool>()).prop_map(|(n, b)| Event::Spill(n, b)),
        1 => any::<bool>().prop_map(Event::Spool),
        1 => (0..3usize, any::<bool>()).prop_map(|(n, on)| Event::Compress(n, on)),
        1 => (node.clone(), load).prop_map(|(n, l)| Event::Load(n, l)),
        1 => node.clone().prop_map(Event::Promote),
        3 => (node, any::<bool>()).prop_map(|(n, b)| Event::Follow(n, b)),
        1 => any::<bool>().prop_map(Event::ForkFails),
    ]
}

fn play(events: &[Event], chunk: usize, redis: bool) {
    let mut world = World::new();
    world.chunk = chunk;
    let nodes = [world.add("A"), world.add("B"), world.add("C")];
    for n in nodes {
        let primary = Rc::make_mut(&mut world.nodes[n].primary);
        (
            primary.dual_channel,
            primary.backlog_bytes,
            primary.rdb_client_grace_ms,
        ) = (true, 16 * 1024, 3000);
        world.nodes[n].redis = redis;
        let replica = Rc::make_mut(&mut world.nodes[n].replica);
        (replica.dual_channel, replica.buffer_bytes_max) = (true, 20_000);
    }
    let mut root = 0;
    for event in events {
        let others = |n: usize| nodes.into_iter().filter(move |o| *o != n);
        match event {
            Event::Write { db, count, bytes } => {
                for i in 0..*count {
                    world.write(root, *db, format!("{i}:{:bytes$}", world.now_ms).as_bytes());
                }
            }
            Event::Steps(count) => (0..*count).for_each(|_| {
                world.step();
            }),
            Event::Run(ms) => world.run(*ms),
            Event::Cut(n, channel) => world.cut(*n, *channel),
            Event::KillChild(n) => world.kill_child(*n, None),
            Event::Crash(n) => {
                world.crash(*n);
                world.step();
                world.restart(*n);
            }
            Event::HoldLoad(n, hold) => world.nodes[*n].hold_load = *hold,
            Event::HoldDrain(n, hold) => world.nodes[*n].hold_drain = *hold,
            Event::Stall(n, channel) => world.nodes[*n].stalled = *channel,
            Event::Dual(n, on) => Rc::make_mut(&mut world.nodes[*n].replica).dual_channel = *on,
            Event::Diskless(on) => nodes
                .iter()
                .for_each(|n| Rc::make_mut(&mut world.nodes[*n].primary).diskless_sync = *on),
            Event::Spill(n, on) => {
                Rc::make_mut(&mut world.nodes[*n].replica).spill_bytes_max =
                    if *on { 60_000 } else { 0 };
            }
            Event::Spool(on) => nodes.iter().for_each(|n| {
                Rc::make_mut(&mut world.nodes[*n].primary).spool_bytes =
                    if *on { 1 << 20 } else { 0 };
            }),
            Event::Compress(n, on) => {
                Rc::make_mut(&mut world.nodes[*n].primary).compression = *on;
                Rc::make_mut(&mut world.nodes[*n].replica).compression = *on;
            }
            Event::Load(n, mode) => Rc::make_mut(&mut world.nodes[*n].replica).load_mode = *mode,
            Event::Promote(n) => {
                if world.nodes[*n].link.target().is_some() {
                    world.promote(*n);
                }
                root = *n;
                others(root).for_each(|o| world.replicaof(o, root));
            }
            Event::Follow(n, direct) if *n != root => {
                let third = others(root).find(|o| o != n).expect("there are three");
                // No circles: the third one follows the root itself.
                world.replicaof(third, root);
                world.replicaof(*n, if *direct { root } else { third });
            }
            Event::Follow(..) => {}
            Event::ForkFails(fails) => nodes
                .iter()
                .for_each(|n| world.nodes[*n].fork_fails = *fails),
        }
    }
    for n in nodes {
        let node = &mut world.nodes[n];
        (
            node.hold_load,
            node.hold_drain,
            node.stalled,
            node.fork_fails,
        ) = (false, false, None, false);
        if n != root && node.link.target().is_none() {
            world.replicaof(n, root);
        }
    }
    world.run(30_000);
    world.write(root, 1, b"last");
    world.run(2_000);
    let others = nodes.into_iter().filter(|n| *n != root);
    if std::env::var("CHAOS_DUMP").is_ok() {
        sim::script::dump(&world);
    }
    for n in others {
        world.assert_same(root, n);
        assert_eq!(world.nodes[n].link.state().as_str(), "connected");
        assert_eq!(world.nodes[n].hub.replicas_waiting_psync(), 0);
    }
    world.assert_clean();
    let online = nodes
        .iter()
        .map(|n| world.nodes[*n].hub.role_rows().len())
        .sum::<usize>();
    assert_eq!(online, 2, "both replicas are online somewhere");
}

/// `CHAOS_CASES` asks for more than the everyday run has.
fn cases() -> u32 {
    std::env::var("CHAOS_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(500)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 3000, ..ProptestConfig::default() })]

    #[test]
    fn every_history_of_accidents_heals(
        events in prop::collection::vec(event(), 5..60),
        chunk in prop_oneof![Just(16usize), Just(100), Just(1000)],
        redis: bool,
    ) {
        play(&events, chunk, redis);
    }
}
