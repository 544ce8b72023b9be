//! A judgement that allows allocates nothing.

#![allow(unsafe_code, reason = "an allocator that counts")]

use acl::{NewChannels, Users};
use commandtable::find_full;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting does not allocate, for the cell needs neither
// initialisation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's duty is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn an_allowed_command_costs_no_allocation() {
    let mut users = Users::default();
    let rules: [&[u8]; 9] = [
        b"+select|0",
        b"(+get ~other)",
        b"(+@all -@dangerous %R~app:* %W~app:* &app:*)",
        b"(+@read",
        b"%R~b*",
        b"~nothing*",
        b"&[xyz]*)",
        b"()",
        b"(+psubscribe &app:*)",
    ];
    let user = users.set_user(b"u", &rules, NewChannels::None).unwrap().now;
    let many: Vec<Vec<u8>> = (0..1000).map(|n| format!("app:{n}").into_bytes()).collect();
    let many = many.iter().map(Vec::as_slice);
    let with = |start: &[&'static [u8]]| -> Vec<&[u8]> {
        start.iter().copied().chain(many.clone()).collect()
    };
    let lines = [
        ("get", vec![b"get".as_slice(), b"app:1"]),
        ("set", vec![b"set", b"app:1", b"v", b"get"]),
        ("exists", with(&[b"exists"])),
        ("mget", with(&[b"mget"])),
        ("mset", with(&[b"mset"])),
        ("del", with(&[b"del"])),
        ("sunionstore", with(&[b"sunionstore"])),
        ("bitfield", vec![b"bitfield", b"app:1", b"get", b"u8", b"0"]),
        (
            "eval",
            vec![
                b"eval", b"s", b"4", b"app:1", b"app:2", b"app:3", b"app:4", b"x",
            ],
        ),
        (
            "xread",
            vec![b"xread", b"streams", b"app:1", b"app:2", b"0", b"0"],
        ),
        (
            "zunionstore",
            vec![b"zunionstore", b"app:1", b"3", b"app:1", b"app:2", b"app:3"],
        ),
        (
            "migrate",
            vec![b"migrate", b"h", b"1", b"", b"0", b"1", b"keys", b"app:1"],
        ),
        ("select", vec![b"select", b"0"]),
        ("object|freq", vec![b"object", b"freq", b"app:1"]),
        ("publish", vec![b"publish", b"app:1", b"x"]),
        ("subscribe", with(&[b"subscribe"])),
        ("psubscribe", vec![b"psubscribe", b"app:*"]),
        ("auth", vec![b"auth", b"x"]),
    ];
    for (name, line) in &lines {
        let command = find_full(name.as_bytes()).unwrap();
        // MIGRATE is dangerous, and refused: even that costs nothing.
        let wanted = *name != "migrate";
        let before = ALLOCATIONS.get();
        let allowed = user.check(command, line).is_ok();
        let after = ALLOCATIONS.get();
        assert_eq!(allowed, wanted, "{name}");
        assert_eq!(after - before, 0, "{name}");
    }
    let before = ALLOCATIONS.get();
    assert!(
        users
            .default_user()
            .check(find_full(b"eval").unwrap(), &lines[3].1)
            .is_ok()
    );
    assert!(user.may_receive(b"app:1", acl::ChannelKind::Name));
    assert_eq!(ALLOCATIONS.get(), before);
}
