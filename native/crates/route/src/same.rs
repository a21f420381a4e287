//! Finds routes that can never be told apart, of which the later one would be dead.

use std::collections::HashMap;

use crate::compile::Plan;
use crate::definition::{Predicate, Route, Test};
use crate::error::{Error, Fault};
use crate::path::{Path, Segment};

/// Everything that tells two routes apart, but for the host; order and repetition of conditions do not.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Signature<'a> {
    priority: i32,
    path: String,
    methods: Vec<&'a String>,
    headers: Vec<(String, &'a Test)>,
    query: Vec<&'a Predicate>,
    cookies: Vec<&'a Predicate>,
}

/// One error for each host of each route that an earlier route covers in the same way.
pub(crate) fn errors(routes: &[Route], plans: &[Plan]) -> Vec<Error> {
    let mut seen: HashMap<Signature<'_>, HashMap<_, usize>> = HashMap::new();
    let mut errors = Vec::new();
    for (at, (route, plan)) in routes.iter().zip(plans).enumerate() {
        let hosts = seen.entry(signature(route, plan)).or_default();
        for host in &plan.hosts {
            let first = *hosts.entry(host).or_insert(at);
            if first != at {
                let fault = Fault::Same { other: routes[first].name.clone(), host: host.to_string() };
                errors.push(Error { route: at, key: "path".to_owned(), name: route.name.clone(), fault });
            }
        }
    }
    errors
}

fn signature<'a>(route: &'a Route, plan: &Plan) -> Signature<'a> {
    Signature {
        priority: route.priority,
        path: path(&plan.path),
        methods: sorted(route.methods.iter()),
        headers: sorted(
            route.headers.iter().map(|predicate| (predicate.name.to_ascii_lowercase(), &predicate.test)),
        ),
        query: sorted(route.query.iter()),
        cookies: sorted(route.cookies.iter()),
    }
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// The pattern without the names of its parameters.
fn path(path: &Path) -> String {
    match path {
        Path::Exact(text) => format!("={text}"),
        Path::Prefix(text) => format!("^{text}"),
        Path::Regex(regex) => format!("~{}", regex.as_str()),
        Path::Template(segments) => segments.iter().fold("{".to_owned(), |text, segment| match segment {
            Segment::Literal(literal) => text + "/" + literal,
            Segment::Param(_) => text + "/{}",
            Segment::Rest(_) => text + "/{*}",
        }),
    }
}
