//! Jemalloc with small size classes 8 bytes apart (see `.cargo/config.toml`), as a global allocator.
//!
//! What it hands out is aligned to 8 bytes unless more is asked for, which this crate does and bindings made for the usual
//! classes do not.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_int;
use tikv_jemalloc_sys::{
    MALLOCX_ALIGN, MALLOCX_ZERO, calloc, malloc, mallocx, rallocx, realloc, sdallocx,
};

/// Everything is aligned to so many bytes by itself.
const QUANTUM: usize = 8;

/// Jemalloc.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jemalloc;

/// What to ask for besides the size; 0 when that is enough.
#[inline]
fn flags(layout: Layout) -> c_int {
    if layout.align() <= QUANTUM {
        0
    } else {
        MALLOCX_ALIGN(layout.align())
    }
}

// SAFETY: sizes and alignments are handed on as they are, and what is handed out by one of jemalloc's functions may be given
// back by any other.
unsafe impl GlobalAlloc for Jemalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller asks for at least one byte.
        unsafe {
            match flags(layout) {
                0 => malloc(layout.size()).cast(),
                flags => mallocx(layout.size(), flags).cast(),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller asks for at least one byte.
        unsafe {
            match flags(layout) {
                0 => calloc(1, layout.size()).cast(),
                flags => mallocx(layout.size(), flags | MALLOCX_ZERO).cast(),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back what was handed out for this layout.
        unsafe { sdallocx(at.cast(), layout.size(), flags(layout)) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller gives back what was handed out for this layout, and asks for at least one byte.
        unsafe {
            match flags(layout) {
                0 => realloc(at.cast(), new_size).cast(),
                flags => rallocx(at.cast(), new_size, flags).cast(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Jemalloc;
    use std::alloc::{GlobalAlloc, Layout};

    #[test]
    fn the_classes_are_those_that_the_data_count_on() {
        for size in 1..5000 {
            // SAFETY: no memory is touched.
            let class = unsafe { tikv_jemalloc_sys::nallocx(size, 0) };
            assert_eq!(
                words::sizes::size_class(size),
                class,
                "{size}: built without .cargo/config.toml?"
            );
        }
    }

    #[test]
    fn what_is_handed_out_is_aligned_as_asked_for() {
        for align in [1, 2, 4, 8, 16, 32, 64, 4096] {
            for size in 1..300 {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: what is handed out has the size that was asked for, and is given back as it was got.
                unsafe {
                    let plain = Jemalloc.alloc(layout);
                    plain.write_bytes(0xa5, size);
                    let zeroed = Jemalloc.alloc_zeroed(layout);
                    let mut bytes = std::slice::from_raw_parts(zeroed, size).iter();
                    assert!(bytes.all(|byte| *byte == 0));
                    let larger = Jemalloc.realloc(plain, layout, size + 9);
                    assert_eq!(larger.add(size - 1).read(), 0xa5);
                    let grown = Layout::from_size_align(size + 9, align).expect("a layout");
                    for at in [zeroed, larger] {
                        assert!(at.addr().is_multiple_of(align), "{size} {align}");
                    }
                    Jemalloc.dealloc(zeroed, layout);
                    Jemalloc.dealloc(larger, grown);
                }
            }
        }
    }
}
