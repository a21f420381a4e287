//! Questions in datagrams.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use trunkline_dns::{Carrier, answer};

use super::batch::{BATCH, Batch, Exchanged};
use crate::worker::{Released, Worker};

/// So many batches, and the worker's other tasks have their turn.
const ROUNDS: usize = 8;

/// Answers until the socket is to be closed; what is in its queue then is answered first.
pub(super) async fn serve(worker: Rc<Worker>, socket: UdpSocket, mut closed: oneshot::Receiver<Released>) {
    let mut batch = Box::new(Batch::new());
    let _released = loop {
        let ready = tokio::select! {
            biased;
            released = &mut closed => {
                answer_queued(&worker, &socket, &mut batch);
                break released;
            }
            ready = socket.readable() => ready,
        };
        if ready.is_ok() {
            answer_queued(&worker, &socket, &mut batch);
        }
        tokio::task::yield_now().await;
    };
    // Before `_released`: who waits for that wants to bind the address.
    drop(socket);
}

fn answer_queued(worker: &Worker, socket: &UdpSocket, batch: &mut Batch) {
    for _ in 0..ROUNDS {
        let exchanged = socket.try_io(Interest::READABLE, || {
            let received = exchange(worker, socket, batch)?;
            // The queue is empty: said without a further system call that would say so.
            if received < BATCH { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        if exchanged.is_err() {
            return;
        }
    }
}

fn exchange(worker: &Worker, socket: &UdpSocket, batch: &mut Batch) -> io::Result<usize> {
    let snapshot = worker.shared.snapshot.load();
    let Some(service) = &snapshot.dns else { return Err(io::ErrorKind::WouldBlock.into()) };
    let cells = service.cells.get(worker.index);
    let Exchanged { received, unsent } = batch.exchange(socket.as_fd(), |request, out| {
        let outcome = answer(&service.zones, &service.identity, Carrier::Datagram, request, out);
        cells.count(outcome);
        outcome.map_or(0, |outcome| outcome.length)
    })?;
    cells.datagrams.add(received as u64);
    cells.unsent.add(unsent as u64);
    Ok(received)
}
