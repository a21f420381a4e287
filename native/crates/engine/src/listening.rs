//! The listening sockets as the control side knows them. It holds a descriptor of each beside the workers', so that another process can
//! be handed the sockets themselves: an accept queue lives as long as anybody holds its socket.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use socket2::SockRef;

use crate::acceptor;
use crate::engine::ApplyError;
use crate::snapshot::Snapshot;

/// A listener's name, and one of its addresses as planned.
pub(crate) type Place = (String, SocketAddr);

/// The sockets of one place. Each has a queue of its own.
pub(crate) struct Bound {
    pub(crate) place: Place,
    sockets: Vec<TcpListener>,
}

#[derive(Default)]
pub(crate) struct Listening {
    open: BTreeMap<Place, Vec<TcpListener>>,
    /// Handed to this process: taken in place of new ones by plans that listen on their addresses.
    adopted: Vec<TcpListener>,
}

impl Listening {
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a descriptor of its own of each socket.
    pub(crate) fn adopt(&mut self, descriptors: &[RawFd]) -> io::Result<()> {
        let mut adopted = Vec::new();
        for &descriptor in descriptors {
            adopted.push(listening_socket(descriptor)?);
        }
        self.adopted.append(&mut adopted);
        Ok(())
    }

    /// Closes what was adopted and is not listened on; its addresses.
    pub(crate) fn release_unclaimed(&mut self) -> Vec<SocketAddr> {
        let unclaimed = |socket: &TcpListener| !self.open.keys().any(|(_, planned)| serves(socket, *planned));
        let addresses = self
            .adopted
            .iter()
            .filter(|socket| unclaimed(socket))
            .flat_map(TcpListener::local_addr)
            .collect();
        self.adopted.clear();
        addresses
    }

    /// The sockets of each place that is new, at least one and mostly one for each worker.
    pub(crate) fn bind(&self, snapshot: &Snapshot, workers: usize) -> Result<Vec<Bound>, ApplyError> {
        let mut places: Vec<Place> = wanted(snapshot).into_iter().collect();
        places.retain(|place| !self.open.contains_key(place));
        // What may fail comes first: a socket that joins others takes connections, which its end would reset.
        places.sort_by_key(|(_, address)| self.at_hand(*address).next().is_some());
        places.into_iter().map(|place| self.bind_place(place, workers)).collect()
    }

    fn bind_place(&self, place: Place, workers: usize) -> Result<Bound, ApplyError> {
        let address = place.1;
        let failed = |error| ApplyError::Listen { address, error };
        let mut sockets: Vec<TcpListener> =
            self.at_hand(address).map(TcpListener::try_clone).collect::<io::Result<_>>().map_err(failed)?;
        let at_hand = !sockets.is_empty();
        if !at_hand {
            sockets.push(acceptor::bind(address, false).map_err(failed)?);
        }
        // Port 0: the first socket's port is everybody's.
        let actual = sockets[0].local_addr().map_err(failed)?;
        while sockets.len() < workers {
            match acceptor::bind(actual, true) {
                Ok(socket) => sockets.push(socket),
                // Not ours to share, by its options or its user: the workers share the socket itself.
                Err(_) if at_hand => break,
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Bound { place, sockets })
    }

    /// Sockets that are there for an address: adopted ones, or those of a listener that had another name.
    fn at_hand(&self, address: SocketAddr) -> impl Iterator<Item = &TcpListener> {
        let renamed = self.open.iter().filter(move |((_, planned), _)| *planned == address);
        let renamed = renamed.flat_map(|(_, sockets)| sockets);
        self.adopted.iter().filter(move |socket| serves(socket, address)).chain(renamed)
    }

    /// Keeps what was bound and lets go of what the snapshot does not want; the places of those. The workers still hold theirs.
    pub(crate) fn settle(&mut self, snapshot: &Snapshot, bound: Vec<Bound>) -> Vec<Place> {
        self.open.extend(bound.into_iter().map(|Bound { place, sockets }| (place, sockets)));
        let wanted = wanted(snapshot);
        let unwanted: Vec<Place> =
            self.open.keys().filter(|place| !wanted.contains(*place)).cloned().collect();
        self.open.retain(|place, _| wanted.contains(place));
        unwanted
    }

    /// The descriptors of all sockets, each once. They are open until the next plan.
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let mut seen = BTreeSet::new();
        let sockets = self.open.values().flatten();
        // Two places may share a socket. One whose identity the kernel does not tell counts as another.
        sockets
            .filter(|socket| SockRef::from(socket).cookie().map_or(true, |cookie| seen.insert(cookie)))
            .map(AsRawFd::as_raw_fd)
            .collect()
    }

    /// From now on only the workers hold the sockets.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        self.adopted.clear();
    }
}

impl Bound {
    /// A descriptor for each worker and socket that belong together, by the worker's index: no worker without a socket, and no socket
    /// without a worker.
    pub(crate) fn shares(&self, workers: usize) -> impl Iterator<Item = (usize, io::Result<TcpListener>)> {
        pairs(workers, self.sockets.len()).map(|(worker, socket)| (worker, self.sockets[socket].try_clone()))
    }
}

fn pairs(workers: usize, sockets: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..workers.max(sockets)).map(move |turn| (turn % workers, turn % sockets))
}

fn wanted(snapshot: &Snapshot) -> BTreeSet<Place> {
    let places = |listener: &std::sync::Arc<crate::snapshot::Listener>| {
        let name = listener.name.clone();
        listener.addresses.clone().into_iter().map(move |address| (name.clone(), address))
    };
    snapshot.listeners.iter().flat_map(places).collect()
}

/// Whether the connections to an address come to this socket: one of `[::]` may take those of `0.0.0.0` too.
fn serves(socket: &TcpListener, planned: SocketAddr) -> bool {
    let Ok(local) = socket.local_addr() else { return false };
    let takes_both = || {
        planned.is_ipv4()
            && planned.ip().is_unspecified()
            && local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            && local.port() == planned.port()
            && matches!(SockRef::from(socket).only_v6(), Ok(false))
    };
    local == planned || takes_both()
}

/// A descriptor of our own of somebody's listening socket, set up like one that we bound.
fn listening_socket(descriptor: RawFd) -> io::Result<TcpListener> {
    // SAFETY: borrowed for the one call that duplicates it, which answers EBADF if it is not open.
    let owned = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?;
    let socket = socket2::Socket::from(owned);
    if socket.r#type()? != socket2::Type::STREAM
        || !socket.is_listener()?
        || socket.local_addr()?.as_socket().is_none()
    {
        let message = format!("descriptor {descriptor} is not a listening TCP socket");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    acceptor::set_up(&socket)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn served(workers: usize, sockets: usize) -> Vec<(usize, usize)> {
        pairs(workers, sockets).collect()
    }

    #[test]
    fn each_worker_has_a_socket_and_each_socket_a_worker() {
        assert_eq!(served(2, 2), [(0, 0), (1, 1)]);
        assert_eq!(served(2, 3), [(0, 0), (1, 1), (0, 2)]);
        assert_eq!(served(3, 1), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(served(1, 2), [(0, 0), (0, 1)]);
    }

    fn listener(address: &str) -> TcpListener {
        TcpListener::bind(address).unwrap()
    }

    fn adopted(sockets: &[&TcpListener]) -> Listening {
        let mut listening = Listening::default();
        let descriptors: Vec<RawFd> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
        listening.adopt(&descriptors).unwrap();
        listening
    }

    #[test]
    fn an_adopted_socket_is_found_by_its_address() {
        let socket = listener("127.0.0.1:0");
        let address = socket.local_addr().unwrap();
        let listening = adopted(&[&socket]);
        let found: Vec<_> = listening.at_hand(address).collect();
        assert_eq!(found.len(), 1);
        assert_ne!(found[0].as_raw_fd(), socket.as_raw_fd());
        assert_eq!(listening.at_hand("127.0.0.1:1".parse().unwrap()).count(), 0);
    }

    #[test]
    fn what_cannot_be_shared_is_served_by_all_workers() {
        let socket = listener("127.0.0.1:0");
        let address = socket.local_addr().unwrap();
        let bound = adopted(&[&socket]).bind_place(("front".into(), address), 3).unwrap();
        assert_eq!(bound.sockets.len(), 1);
        let workers: Vec<usize> = bound.shares(3).map(|(worker, _)| worker).collect();
        assert_eq!(workers, [0, 1, 2]);
    }

    #[test]
    fn a_worker_more_gets_a_socket_more() {
        let first = acceptor::bind("127.0.0.1:0".parse().unwrap(), false).unwrap();
        let address = first.local_addr().unwrap();
        let bound = adopted(&[&first]).bind_place(("front".into(), address), 2).unwrap();
        let addresses: Vec<_> = bound.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert_eq!(addresses, [address, address]);
    }

    #[test]
    fn a_socket_of_both_families_serves_either() {
        let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        socket.set_only_v6(false).unwrap();
        socket.bind(&"[::]:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(1).unwrap();
        let socket = TcpListener::from(socket);
        let port = socket.local_addr().unwrap().port();
        assert!(serves(&socket, format!("0.0.0.0:{port}").parse().unwrap()));
        assert!(serves(&socket, format!("[::]:{port}").parse().unwrap()));
        assert!(!serves(&socket, format!("127.0.0.1:{port}").parse().unwrap()));
    }

    #[test]
    fn only_listening_sockets_are_adopted() {
        let mut listening = Listening::default();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(listening.adopt(&[socket.as_raw_fd()]).is_err());
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert!(listening.adopt(&[socket.as_raw_fd()]).is_err());
        assert_eq!(listening.adopt(&[1_000_000]).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn what_no_plan_wanted_is_named_and_closed() {
        let socket = listener("127.0.0.1:0");
        let mut listening = adopted(&[&socket]);
        assert_eq!(listening.release_unclaimed(), [socket.local_addr().unwrap()]);
        assert_eq!(listening.release_unclaimed(), []);
    }
}
