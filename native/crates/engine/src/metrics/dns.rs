//! The nameserver's part of the Prometheus page.

use trunkline_telemetry::{Counter, Error, Exposition, Kind};

use crate::dns::Service;
use crate::dns::cells::{Cells, RCODES};

pub(super) fn page(page: &mut Exposition, service: &Service) -> Result<(), Error> {
    let sum = |pick: fn(&Cells) -> &Counter| service.cells.iter().map(|cells| pick(cells).get()).sum::<u64>();
    page.family("trunkline_dns_queries_total", "Questions by transport.", Kind::Counter)?
        .sample(&[("transport", "udp")], sum(|cells| &cells.datagrams))?
        .sample(&[("transport", "tcp")], sum(|cells| &cells.streams))?;
    let mut family =
        page.family("trunkline_dns_responses_total", "Answers by response code.", Kind::Counter)?;
    for (index, rcode) in RCODES.iter().enumerate() {
        let count: u64 =
            service.cells.iter().filter_map(|cells| cells.responses.get(index)).map(Counter::get).sum();
        family.sample(&[("rcode", rcode)], count)?;
    }
    page.family("trunkline_dns_truncated_total", "Answers that did not fit a datagram.", Kind::Counter)?
        .sample(&[], sum(|cells| &cells.truncated))?;
    page.family("trunkline_dns_ignored_total", "Messages that get no answer.", Kind::Counter)?
        .sample(&[], sum(|cells| &cells.silent))?;
    page.family("trunkline_dns_unsent_total", "Answers that the kernel did not take.", Kind::Counter)?
        .sample(&[], sum(|cells| &cells.unsent))?;
    page.family("trunkline_dns_connections_total", "TCP connections of clients.", Kind::Counter)?
        .sample(&[], sum(|cells| &cells.connections))?;
    let open: i64 = service.cells.iter().map(|cells| cells.open.get()).sum();
    page.family("trunkline_dns_connections_open", "TCP connections that are open.", Kind::Gauge)?
        .sample(&[], open)?;
    page.family("trunkline_dns_zones", "Zones that are served.", Kind::Gauge)?
        .sample(&[], service.zones.len() as u64)?;
    let records: usize = service.zones.iter().map(|zone| zone.record_count()).sum();
    page.family("trunkline_dns_records", "Records in all zones.", Kind::Gauge)?
        .sample(&[], records as u64)?;
    Ok(())
}
