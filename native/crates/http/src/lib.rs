//! # trunkline-http: HTTP/1.1 as bytes in, events out: strict heads, body framing, re-serialisation. No sockets.
