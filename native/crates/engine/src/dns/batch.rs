//! Datagrams, many to a system call (recvmmsg(2), sendmmsg(2)), each answered in a place of its own.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use trunkline_dns::edns::UDP_BYTES;

/// How many at once: at 36 to a call, what full load brings, the calls themselves are a tenth of the time.
pub(super) const BATCH: usize = 64;
/// A request that is longer is cut off, and malformed then.
const REQUEST_BYTES: usize = 4_096;
const RESPONSE_BYTES: usize = UDP_BYTES as usize;
/// Room for one `IP_PKTINFO` or `IPV6_PKTINFO`: where a datagram was sent to, which is where its answer has to come from.
const CONTROL_BYTES: usize = 64;

/// The control messages of a datagram, aligned as the kernel wants them.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_BYTES]);

/// Buffers, and what the kernel is told about them. The headers point into the boxes, which never move.
pub(super) struct Batch {
    requests: Box<[[u8; REQUEST_BYTES]]>,
    responses: Box<[[u8; RESPONSE_BYTES]]>,
    peers: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    request_vectors: Box<[libc::iovec]>,
    response_vectors: Box<[libc::iovec]>,
    incoming: Box<[libc::mmsghdr]>,
    outgoing: Box<[libc::mmsghdr]>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchanged {
    pub(super) received: usize,
    pub(super) unsent: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        // SAFETY: all-zero bytes are valid values of these C structures.
        let (peer, vector, header) = unsafe {
            (zeroed::<libc::sockaddr_storage>(), zeroed::<libc::iovec>(), zeroed::<libc::mmsghdr>())
        };
        let mut batch = Self {
            requests: vec![[0; REQUEST_BYTES]; BATCH].into(),
            responses: vec![[0; RESPONSE_BYTES]; BATCH].into(),
            peers: vec![peer; BATCH].into(),
            controls: vec![Control([0; CONTROL_BYTES]); BATCH].into(),
            request_vectors: vec![vector; BATCH].into(),
            response_vectors: vec![vector; BATCH].into(),
            incoming: vec![header; BATCH].into(),
            outgoing: vec![header; BATCH].into(),
        };
        batch.connect();
        batch
    }

    /// Tells the headers of incoming datagrams where their parts go.
    fn connect(&mut self) {
        for index in 0..BATCH {
            let request = self.requests[index].as_mut_ptr().cast();
            self.request_vectors[index] = libc::iovec { iov_base: request, iov_len: REQUEST_BYTES };
            self.response_vectors[index].iov_base = self.responses[index].as_mut_ptr().cast();
            let header = &mut self.incoming[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.peers[index]).cast();
            header.msg_iov = &raw mut self.request_vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = ptr::from_mut(&mut self.controls[index]).cast();
        }
    }

    /// Receives what is there, at most [`BATCH`], lets `answer` write a response to each (nothing = none), and sends those.
    ///
    /// # Errors
    /// Nothing was there, or the socket is broken.
    pub(super) fn exchange(
        &mut self,
        socket: BorrowedFd<'_>,
        mut answer: impl FnMut(&[u8], &mut [u8]) -> usize,
    ) -> io::Result<Exchanged> {
        let received = self.receive(socket)?;
        let mut ready = 0;
        for index in 0..received {
            let length = (self.incoming[index].msg_len as usize).min(REQUEST_BYTES);
            let written = answer(&self.requests[index][..length], &mut self.responses[index]);
            if written > 0 {
                self.address(ready, index, written);
                ready += 1;
            }
        }
        Ok(Exchanged { received, unsent: ready - self.send(socket, ready) })
    }

    /// Makes the response to a request the next one to be sent: to who asked, from where it was asked.
    fn address(&mut self, place: usize, index: usize, written: usize) {
        self.response_vectors[index].iov_len = written;
        let request = self.incoming[index].msg_hdr;
        let header = &mut self.outgoing[place].msg_hdr;
        *header = request;
        header.msg_iov = &raw mut self.response_vectors[index];
    }

    fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for header in &mut self.incoming {
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        // SAFETY: every header points to buffers of the lengths it tells, which live as long as `self`.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// How many went out. One that cannot go now is lost, as datagrams may be: its client asks again.
    fn send(&mut self, socket: BorrowedFd<'_>, count: usize) -> usize {
        let (mut from, mut sent) = (0, 0);
        while from < count {
            // SAFETY: as above; the headers up to `count` were filled by `address`.
            let done = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.outgoing.as_mut_ptr().add(from),
                    (count - from) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(done) {
                Ok(done) => {
                    sent += done;
                    from += done;
                }
                // The first of them cannot be sent; those behind it may.
                Err(_) => from += 1,
            }
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn each_gets_its_own_answer() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let clients: Vec<_> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&[number as u8], server.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::new();
        let exchanged = batch.exchange(server.as_fd(), |request, out| match request {
            [1] => 0,
            [number] => {
                out[..2].copy_from_slice(&[7, *number]);
                2
            }
            _ => 0,
        });
        assert_eq!(exchanged.unwrap(), Exchanged { received: 3, unsent: 0 });
        for (number, client) in [(0, &clients[0]), (2, &clients[2])] {
            let mut answer = [0; 8];
            assert_eq!(client.recv(&mut answer).unwrap(), 2);
            assert_eq!(answer[..2], [7, number]);
        }
        assert!(batch.exchange(server.as_fd(), |_, _| 0).is_err());
    }
}
