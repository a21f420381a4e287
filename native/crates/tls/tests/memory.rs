//! An idle session holds keys and state, no buffer. Target (design): 10 KB of user space for an idle TLS connection.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::{Authority, Pair, client, connect, server};
use serde_json::json;

const SESSIONS: usize = 200;
const MOST_BYTES: usize = 8 * 1024;

struct Counting;

static HELD_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// AWS-LC allocates with malloc, beside this count: with it a session of a listener takes 3.5 KB (measured by RSS, 8 000 of them).
#[test]
fn an_idle_session_is_small() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let server = server(json!({"certificates": [entry]}));
    let client = client(&authority);
    let data = vec![7; 40_000];
    let open = || {
        let mut pair: Pair = connect(&client, &server, "site.example").unwrap();
        assert_eq!(pair.send_up(&data).len(), 40_000);
        assert_eq!(pair.send_down(&data).len(), 40_000);
        pair.server.session
    };
    let mut sessions = Vec::with_capacity(SESSIONS);
    sessions.push(open());
    let before = HELD_BYTES.load(Ordering::Relaxed);
    sessions.extend((1..SESSIONS).map(|_| open()));
    let each = (HELD_BYTES.load(Ordering::Relaxed) - before) / (SESSIONS - 1);
    assert!(each <= MOST_BYTES, "{each} bytes for each idle session");
    assert!(each > 500, "{each} bytes: the count does not work");
}
