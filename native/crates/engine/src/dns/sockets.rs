//! The nameserver's sockets as the control side sees them: for each address one for datagrams and one for connections, on each worker.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use super::{Service, Socket};
use crate::acceptor;
use crate::engine::ApplyError;

/// What may wait while a worker is busy elsewhere; the kernel caps it at `net.core.rmem_max`. A datagram of a question takes up about
/// 800 bytes of it, whatever its length.
const RECEIVE_BYTES: usize = 4 << 20;

/// The sockets of one address, a pair for each worker.
pub(crate) struct Bound {
    pub(crate) planned: SocketAddr,
    pub(crate) sockets: Vec<[Socket; 2]>,
}

#[derive(Default)]
pub(crate) struct Sockets {
    open: BTreeSet<SocketAddr>,
    /// Another process has the addresses still, and hands over: the first sockets may join its.
    pub(crate) joins: bool,
}

impl Sockets {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The sockets of all addresses that are new.
    pub(crate) fn bind(&self, service: Option<&Service>, workers: usize) -> Result<Vec<Bound>, ApplyError> {
        let addresses = service.map(|service| service.addresses.as_slice()).unwrap_or_default();
        let new = addresses.iter().filter(|address| !self.open.contains(address));
        new.map(|address| self.bind_address(*address, workers)).collect()
    }

    fn bind_address(&self, planned: SocketAddr, workers: usize) -> Result<Bound, ApplyError> {
        let failed = |error| ApplyError::Listen { address: planned, error };
        let mut sockets = Vec::with_capacity(workers);
        let mut actual = planned;
        for index in 0..workers {
            let shared = self.joins || index > 0;
            let streams = acceptor::bind(actual, shared).map_err(failed)?;
            // Port 0: the first socket's port is everybody's.
            actual = streams.local_addr().map_err(failed)?;
            let datagrams = bind_datagrams(actual, shared).map_err(failed)?;
            sockets.push([Socket::Datagrams(datagrams), Socket::Streams(streams)]);
        }
        Ok(Bound { planned, sockets })
    }

    /// Notes what is open now; the addresses that are not wanted any more.
    pub(crate) fn settle(&mut self, service: Option<&Service>) -> Vec<SocketAddr> {
        let wanted: BTreeSet<SocketAddr> =
            service.map(|service| service.addresses.iter().copied().collect()).unwrap_or_default();
        let unwanted = self.open.difference(&wanted).copied().collect();
        self.open = wanted;
        self.joins = false;
        unwanted
    }

    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}

fn bind_datagrams(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    if !shared {
        // The address must be free: `SO_REUSEPORT` alone would let a second process take half of the questions without a word.
        socket(address)?.bind(&address.into())?;
    }
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // The most that the system allows will do.
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    if address.ip().is_unspecified() {
        tell_destinations(&socket, address)?;
    }
    ignore_path_mtu(&socket, address)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<socket2::Socket> {
    let domain = socket2::Domain::for_address(address);
    let socket =
        socket2::Socket::new(domain, socket2::Type::DGRAM.nonblocking(), Some(socket2::Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// With each datagram comes the address it was sent to, so that its answer comes from there.
fn tell_destinations(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        SocketAddr::V6(_) => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
    }
}

/// Anybody can send an ICMP message that says the path takes less, and so make us fragment, which is how answers are forged
/// (RFC 9715 §3.1).
fn ignore_path_mtu(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => {
            set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)
        }
        SocketAddr::V6(_) => {
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_OMIT)
        }
    }
}

fn set_option(socket: &socket2::Socket, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the value is an int of the size that is told.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
