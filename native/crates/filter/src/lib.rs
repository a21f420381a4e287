//! # trunkline-filter: The gateway's filter chain: authentication, limits, CORS, rewriting. No sockets.
