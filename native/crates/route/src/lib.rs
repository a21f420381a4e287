//! # trunkline-route: Routes compiled to a lookup table: host, path, method, header and query predicates, explained.
