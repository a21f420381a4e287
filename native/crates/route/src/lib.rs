//! # trunkline-route: routes compiled to a lookup table: host, path, method, header, query and cookie predicates, explained.
//!
//! A [`Router`] is immutable, `Send + Sync` and built at once from a list of [`Route`]s; every error of the list is reported. All
//! routes are sorted once by the documented order (`order.rs`), so that at run time "better" is one integer comparison:
//! [`Router::find`] walks a segment trie and keeps the lowest position whose predicates hold. It does not allocate.
//! Input is validated by the HTTP layer: host lower case without port, path with dot segments removed, method a token.
//! Does not rewrite, does not know pools or filters: a match is the index of a route.
//!
//! ```
//! use trunkline_route::{PathPattern, Request, Route, Router};
//!
//! let router = Router::compile(vec![
//!     Route { name: "all".into(), ..Route::default() },
//!     Route {
//!         name: "order".into(),
//!         hosts: vec!["*.example.com".into()],
//!         path: PathPattern::Template("/users/{user}/orders/{order}".into()),
//!         ..Route::default()
//!     },
//! ]).map_err(|errors| errors[0].to_string())?;
//! let request = Request { host: "shop.example.com", method: "GET", path: "/users/7/orders/41", query: None };
//! let found = router.find(&request, |_| None).ok_or("no route")?;
//! assert_eq!((found.route, found.params().get("order")), (1, Some("41")));
//! # Ok::<(), String>(())
//! ```
#![forbid(unsafe_code)]

mod compile;
mod cookie;
mod definition;
mod error;
mod explain;
mod host;
mod keyed;
mod method;
mod order;
mod params;
mod path;
mod predicate;
mod query;
mod router;
mod same;
mod trie;

pub use definition::{PathPattern, Predicate, Route, Test};
pub use error::{Error, Fault};
pub use explain::{Explanation, Failure, NearMiss};
pub use params::Params;
pub use router::{Match, Refusal, Request, Router};
