//! The places for probes of a half-open breaker.
//!
//! A place is taken with a deadline. A permit that was lost (its task was cancelled, its owner panicked) is never recorded;
//! from the deadline on the next probe may take its place, and a record that comes after that finds its serial gone and is ignored.

#[derive(Debug, Clone, Copy)]
struct Probe {
    serial: u64,
    deadline_ns: u64,
}

#[derive(Debug)]
pub(crate) struct Probes {
    places: Box<[Option<Probe>]>,
    timeout_ns: u64,
    /// Probes whose deadline passed before they were recorded.
    pub(crate) lost: u64,
}

impl Probes {
    pub(crate) fn new(places: u32, timeout_ns: u64) -> Self {
        Self { places: vec![None; places as usize].into(), timeout_ns, lost: 0 }
    }

    /// Takes a place for the probe `serial`, or says after how long the next deadline frees one.
    pub(crate) fn take(&mut self, serial: u64, now_ns: u64) -> Result<(), u64> {
        let free_at_ns = |place: &Option<Probe>| place.map_or(0, |probe| probe.deadline_ns);
        let Some(place) = self.places.iter_mut().min_by_key(|place| free_at_ns(place)) else { return Err(0) };
        match place.map_or(0, |probe| probe.deadline_ns.saturating_sub(now_ns)) {
            0 => {
                self.lost += u64::from(place.is_some());
                *place = Some(Probe { serial, deadline_ns: now_ns.saturating_add(self.timeout_ns) });
                Ok(())
            }
            wait_ns => Err(wait_ns),
        }
    }

    /// Gives the place of `serial` back; false if it has none any more.
    pub(crate) fn give_back(&mut self, serial: u64) -> bool {
        let held = self.places.iter_mut().find(|place| place.is_some_and(|probe| probe.serial == serial));
        held.and_then(Option::take).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.places.fill(None);
    }
}
