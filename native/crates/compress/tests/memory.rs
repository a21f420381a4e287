//! What an encoder holds while a body goes through it, by an allocator that counts; zstd allocates in C and says itself.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use trunkline_compress::{Coding, Encoder, Levels};

static HELD_BYTES: AtomicIsize = AtomicIsize::new(0);
static MOST_BYTES: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator with the arguments it came with.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD_BYTES.fetch_add(layout.size().cast_signed(), Relaxed) + layout.size().cast_signed();
        MOST_BYTES.fetch_max(held, Relaxed);
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that is held while `total` bytes pass, and what remains when the encoder is gone.
fn measure(coding: Coding, total: usize) -> (isize, isize) {
    let piece: Vec<u8> =
        (0..65_536_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 28) as u8 + b'a').collect();
    let mut out = Vec::with_capacity(1 << 20);
    let before = HELD_BYTES.load(Relaxed);
    MOST_BYTES.store(before, Relaxed);
    let mut encoder = Encoder::new(coding, &Levels::default()).unwrap();
    for _ in 0..total / piece.len() {
        out.clear();
        encoder.push(&piece, &mut out).unwrap();
    }
    let outside = if coding == Coding::Zstd { zstd_bytes(&encoder) } else { 0 };
    drop(encoder);
    (MOST_BYTES.load(Relaxed) - before + outside, HELD_BYTES.load(Relaxed) - before)
}

/// From `Zstd(1234 bytes)`.
fn zstd_bytes(encoder: &Encoder) -> isize {
    let text = format!("{encoder:?}");
    let digits: String =
        text.split("Zstd(").last().unwrap().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// One test, because the counters are the process's.
#[test]
fn memory_is_bounded_and_given_back() {
    // Measured: 380 032, 2 121 728 and 1 828 377 bytes; the bounds leave room for other releases of the libraries.
    for (coding, bound) in [(Coding::Gzip, 450_000), (Coding::Brotli, 2_500_000), (Coding::Zstd, 2_200_000)] {
        let (small, _) = measure(coding, 1 << 20);
        let (large, left) = measure(coding, 16 << 20);
        assert!(large < bound && large < small + small / 4, "{coding:?}: {small}, then {large}");
        assert_eq!(left, 0, "{coding:?}");
    }
}
