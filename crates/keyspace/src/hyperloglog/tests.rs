//! Both forms against a plain array of registers, the fast functions against the plain ones, and any bytes at all.

use super::{
    Corrupt, Form, HEADER_BYTES, HyperLogLog, HyperLogLogMut, Maxima, REGISTERS, dense, place,
    sparse,
};
use crate::Rng;
use crate::testing::TestRng;

fn body(seed: u64) -> Vec<u8> {
    let mut rng = TestRng(seed);
    (0..dense::BYTES).map(|_| rng.next_u64() as u8).collect()
}

#[test]
fn words_of_registers_are_what_single_registers_are() {
    let (one, other) = (body(1), body(2));
    let plain = |body: &[u8]| -> Vec<u8> {
        (0..REGISTERS)
            .map(|index| dense::plain::register(body, index))
            .collect()
    };
    assert_eq!(dense::registers(&one)[..], plain(&one));
    assert_eq!(dense::histogram(&one), dense::plain::histogram(&one));
    let mut maxima = [0; REGISTERS];
    dense::merge(&one, &mut maxima);
    dense::merge_plain(&other, &mut maxima);
    let mut greater = plain(&one);
    for (register, other) in greater.iter_mut().zip(plain(&other)) {
        *register = other.max(*register);
    }
    assert_eq!(maxima[..], greater);
    let mut packed = vec![0xff; dense::BYTES];
    dense::pack(&maxima, &mut packed);
    assert_eq!(plain(&packed), greater);
    packed.fill(0xff);
    dense::pack_plain(&maxima, &mut packed);
    assert_eq!(plain(&packed), greater);
}

#[test]
fn registers_are_counted_and_packed_as_one_by_one() {
    let mut rng = TestRng(7);
    // Of a wide range, of a narrow one at either end, all the same, and with bits that no register has.
    for (low, span) in [
        (0, 64),
        (0, 3),
        (60, 4),
        (7, 2),
        (1, 25),
        (0, 1),
        (63, 1),
        (0, 256),
    ] {
        let mut registers = [0; REGISTERS];
        for register in &mut registers {
            *register = (low + rng.next_u64() % span) as u8;
        }
        let mut counts = [0; 64];
        for register in registers {
            counts[usize::from(register % 64)] += 1;
        }
        assert_eq!(dense::counts(&registers), counts, "{low} {span}");
        assert_eq!(dense::counts_plain(&registers), counts, "{low} {span}");
        let (mut fast, mut plain) = (vec![0xff; dense::BYTES], vec![0; dense::BYTES]);
        dense::pack(&registers, &mut fast);
        dense::pack_plain(&registers, &mut plain);
        assert_eq!(fast, plain, "{low} {span}");
        let kept = registers.map(|register| register % 64);
        assert_eq!(dense::registers(&fast), kept, "{low} {span}");
    }
}

#[test]
fn a_register_is_raised_and_its_neighbours_stay() {
    let mut registers = vec![0; dense::BYTES];
    let mut model = [0; REGISTERS];
    let mut rng = TestRng(3);
    for _ in 0..50_000 {
        let index = (rng.next_u64() % REGISTERS as u64) as usize;
        let value = (rng.next_u64() % 64) as u8;
        assert_eq!(
            dense::raise(&mut registers, index, value),
            value > model[index]
        );
        model[index] = value.max(model[index]);
    }
    assert_eq!(dense::registers(&registers), model);
}

#[test]
fn both_forms_hold_what_a_plain_array_holds() {
    for sparse_bytes_max in [0, 50, 3000, 20_000] {
        let mut bytes = Vec::new();
        let mut hll = HyperLogLogMut::start(&mut bytes);
        let mut model = [0; REGISTERS];
        for n in 0..6000_u64 {
            let element = n.to_le_bytes();
            let (index, value) = place(&element);
            let changed = hll.add(&[&element], sparse_bytes_max).unwrap();
            assert_eq!(changed == 1, value > model[index]);
            model[index] = value.max(model[index]);
        }
        assert_eq!(hll.form() == Form::Sparse, sparse_bytes_max == 20_000);
        let count = hll.view().count().unwrap();
        assert!((5800..6200).contains(&count), "{count}");
        let mut maxima = Maxima::default();
        maxima.merge(hll.view()).unwrap();
        assert_eq!(*maxima.0, model);
        assert_eq!(maxima.count(), count);
        hll.make_dense().unwrap();
        assert_eq!(dense::registers(hll.view().body()), model);
        assert_eq!(hll.view().count(), Ok(count));
    }
}

#[test]
fn merging_is_as_adding_all() {
    for (sparse_bytes_max, form) in [(3000, Form::Sparse), (300, Form::Dense)] {
        let mut parts = [Vec::new(), Vec::new(), Vec::new()];
        let [one, other, all] = &mut parts;
        let mut one = HyperLogLogMut::start(one);
        let mut other = HyperLogLogMut::start(other);
        let mut all = HyperLogLogMut::start(all);
        for n in 0..400_u64 {
            let part = if n % 3 == 0 { &mut one } else { &mut other };
            part.add(&[&n.to_le_bytes()], 3000).unwrap();
            all.add(&[&n.to_le_bytes()], 3000).unwrap();
        }
        let mut maxima = Maxima::default();
        maxima.merge(one.view()).unwrap();
        maxima.merge(other.view()).unwrap();
        one.raise_all(&maxima, sparse_bytes_max).unwrap();
        assert_eq!(one.form(), form);
        assert_eq!(one.view().count(), all.view().count());
    }
}

#[test]
fn an_estimate_is_kept_until_it_is_out_of_date() {
    let mut bytes = Vec::new();
    let mut hll = HyperLogLogMut::start(&mut bytes);
    assert_eq!(hll.view().cached_count(), Some(0));
    hll.add(&[b"a"], 3000).unwrap();
    assert_eq!(hll.view().cached_count(), None);
    hll.cache_count(1);
    assert_eq!(hll.add(&[b"a"], 3000), Ok(0));
    assert_eq!(hll.view().cached_count(), Some(1));
}

#[test]
fn what_fails_changes_nothing() {
    // Runs of one register, and it is not that of these elements.
    let mut bytes = Vec::new();
    HyperLogLogMut::start(&mut bytes);
    bytes.truncate(HEADER_BYTES);
    bytes.push(0);
    let before = bytes.clone();
    let mut hll = HyperLogLogMut::of(&mut bytes).unwrap();
    assert_eq!(hll.add(&[b"a", b"b"], 3000), Err(Corrupt));
    assert_eq!(hll.view().count(), Err(Corrupt));
    assert_eq!(hll.make_dense(), Err(Corrupt));
    assert_eq!(hll.raise_all(&Maxima::default(), 3000), Err(Corrupt));
    assert_eq!(Maxima::default().merge(hll.view()), Err(Corrupt));
    assert_eq!(bytes, before);
}

#[test]
fn any_bytes_behind_a_header_are_read_within_their_bounds() {
    let mut rng = TestRng(5);
    for _ in 0..3000 {
        let mut bytes = Vec::new();
        HyperLogLogMut::start(&mut bytes);
        let length = rng.next_u64() % 64;
        bytes.extend((0..length).map(|_| rng.next_u64() as u8));
        let mut hll = HyperLogLogMut::of(&mut bytes).unwrap();
        let mut maxima = Maxima::default();
        if maxima.merge(hll.view()).is_ok() {
            hll.raise_all(&maxima, 3000).unwrap();
        }
        let _counted_or_corrupt = hll.view().count();
        let _added_or_corrupt = hll.add(&[&rng.next_u64().to_le_bytes(), b"x"], 3000);
        assert!(sparse::runs(hll.view().body()).count() <= bytes.len());
    }
}

#[test]
fn other_strings_are_none() {
    let mut bytes = Vec::new();
    HyperLogLogMut::start(&mut bytes);
    assert!(HyperLogLog::of(&bytes[..15]).is_none());
    assert!(HyperLogLog::of(&bytes[..16]).is_some());
    for (at, byte) in [(0, b'h'), (4, 0), (4, 2)] {
        let mut other = bytes.clone();
        other[at] = byte;
        assert!(HyperLogLog::of(&other).is_none());
    }
}

#[test]
fn elements_belong_where_the_reference_puts_them() {
    for (element, index, value) in [
        ("", 5938, 2),
        ("a", 12711, 2),
        ("12345678", 10579, 3),
        ("thirteen here", 15214, 2),
        ("0123456789abcdefXYZ", 8222, 1),
    ] {
        assert_eq!(place(element.as_bytes()), (index, value), "{element}");
    }
}

#[test]
fn registers_that_no_element_gives_are_an_overflow() {
    let mut bytes = Vec::new();
    let mut hll = HyperLogLogMut::start(&mut bytes);
    assert_eq!(hll.view().count(), Ok(0));
    hll.make_dense().unwrap();
    bytes[HEADER_BYTES..].fill(0xff);
    let hll = HyperLogLog::of(&bytes).unwrap();
    assert_eq!(hll.count(), Ok(1 << 63));
}
