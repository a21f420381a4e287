//! Zones from their files, on the control side. A zone whose files are what they were is the same object.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trunkline_dns::{Identity, Zone, Zones, name, zonefile};
use trunkline_telemetry::PerWorker;

use super::Service;
use crate::compile::PlanError;
use crate::plan;

/// A zone, and what it was made of.
#[derive(Clone)]
pub(super) struct Loaded {
    zone: Arc<Zone>,
    /// The main file first.
    files: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file does: inode, size, time of the last change in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp(u64, u64, i64);

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let changed_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Ok(Self(metadata.ino(), metadata.len(), changed_ns))
    }
}

/// The service of a plan; `None` = there is something wrong, which was noted.
pub(crate) fn load(
    plan: plan::Dns,
    previous: Option<&Arc<Service>>,
    workers: usize,
    errors: &mut Vec<PlanError>,
) -> Option<Service> {
    let known: HashMap<&[u8], &Loaded> = previous
        .iter()
        .flat_map(|service| &service.loaded)
        .map(|loaded| (loaded.zone.apex(), loaded))
        .collect();
    let before = errors.len();
    let mut loaded = Vec::with_capacity(plan.zones.len());
    for (index, zone) in plan.zones.iter().enumerate() {
        match load_zone(zone, &known) {
            Ok(zone) => loaded.push(zone),
            Err(message) => errors.push(PlanError { path: format!("dns.zones[{index}]"), message }),
        }
    }
    let zones = Zones::new(loaded.iter().map(|loaded| Arc::clone(&loaded.zone)));
    if zones.len() < loaded.len() {
        errors.push(PlanError { path: "dns.zones".into(), message: "two zones have the same name".into() });
    }
    let cells =
        previous.map_or_else(|| Arc::new(PerWorker::new(workers)), |service| Arc::clone(&service.cells));
    let identity = Identity { name: plan.identity.into_bytes(), version: plan.version.into_bytes() };
    (errors.len() == before).then_some(Service {
        addresses: plan.addresses,
        zones,
        identity,
        connections: plan.connections,
        idle_ms: plan.idle_ms,
        cells,
        loaded,
    })
}

fn load_zone(plan: &plan::Zone, known: &HashMap<&[u8], &Loaded>) -> Result<Loaded, String> {
    let apex = name::parse(&plan.name).ok_or_else(|| format!("\"{}\" is no domain name", plan.name))?;
    let apex = name::lower(&apex);
    let file = Path::new(&plan.file);
    if let Some(loaded) = known.get(&apex[..]).filter(|loaded| loaded.is_of(file)) {
        return Ok((*loaded).clone());
    }
    let mut files = Vec::new();
    let mut read = |path: &Path| {
        // Before the bytes: a change in between is seen the next time.
        files.push((path.to_owned(), Stamp::of(path)?));
        fs::read(path)
    };
    let zone = zonefile::load(file, &apex, &mut read).map_err(|problem| problem.to_string())?;
    Ok(Loaded { zone: Arc::new(zone), files })
}

impl Loaded {
    /// Whether it was made of this file, and reading it again would give the same.
    fn is_of(&self, file: &Path) -> bool {
        let unchanged = |(path, stamp): &(PathBuf, Stamp)| Stamp::of(path).is_ok_and(|now| now == *stamp);
        self.files.first().is_some_and(|(main, _)| main == file) && self.files.iter().all(unchanged)
    }
}
