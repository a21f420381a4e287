//! The rules of the crate's front page: who is eligible, priorities, panic, slow start. They hold for every algorithm.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use trunkline_balance::{Algorithm, Balancer, Error, RingKind, Server, Settings, Standing};

const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::RoundRobin,
    Algorithm::WeightedRoundRobin,
    Algorithm::LeastConnections,
    Algorithm::WeightedLeastConnections,
    Algorithm::Hash,
    Algorithm::ConsistentHash(RingKind::Ketama),
    Algorithm::ConsistentHash(RingKind::Maglev { table_size: 251 }),
    Algorithm::ConsistentHash(RingKind::Jump),
    Algorithm::ConsistentHash(RingKind::Rendezvous),
    Algorithm::ConsistentHash(RingKind::Modulo),
    Algorithm::PowerOfTwo,
    Algorithm::PeakEwma,
];

/// Servers `s0`, `s1`, … of these `(weight, priority)`.
fn servers(shapes: &[(u32, u8)]) -> Vec<Arc<Server>> {
    let server = |(index, &(weight, priority)): (usize, &(u32, u8))| {
        Server::new(&format!("s{index}"), weight, priority)
    };
    shapes.iter().enumerate().map(server).map(Arc::new).collect()
}

/// How often each server is picked for 2 000 keys.
fn shares(balancer: &mut Balancer, now_ns: u64, tried: &[usize]) -> Vec<u32> {
    let mut shares = vec![0; balancer.servers().len()];
    for key in 0..2_000_u32 {
        if let Some(index) = balancer.pick(&key.to_le_bytes(), now_ns, tried) {
            shares[index] += 1;
        }
    }
    shares
}

fn for_each_algorithm(settings: Settings, shapes: &[(u32, u8)], check: impl Fn(&mut Balancer, &str)) {
    for algorithm in ALGORITHMS {
        let mut balancer = Balancer::new(Settings { algorithm, ..settings }, servers(shapes), 3).unwrap();
        check(&mut balancer, &format!("{algorithm:?}"));
    }
}

fn plain() -> Settings {
    Settings::new(Algorithm::RoundRobin)
}

#[test]
fn everyone_eligible_is_used_and_nobody_else() {
    for_each_algorithm(plain(), &[(1, 0); 7], |balancer, name| {
        let all = balancer.servers().to_vec();
        all[1].set_healthy(false, 5);
        all[2].set_draining(true);
        all[3].eject_until(100);
        all[4].set_weight(0);
        all[5].set_max_active(1);
        all[5].begin();
        let shares = shares(balancer, 10, &[]);
        assert!(shares[0] > 0 && shares[6] > 0, "{name}: {shares:?}");
        assert_eq!(&shares[1..6], [0; 5], "{name}");
        assert_eq!(shares.iter().sum::<u32>(), 2_000, "{name}");
    });
}

#[test]
fn tried_servers_are_left_out() {
    for_each_algorithm(plain(), &[(1, 0); 3], |balancer, name| {
        let picked = shares(balancer, 1, &[0, 2]);
        assert_eq!(picked, [0, 2_000, 0], "{name}");
        assert_eq!(balancer.pick(b"key", 1, &[0, 1, 2]), None, "{name}");
    });
}

#[test]
fn no_server_is_no_answer() {
    for_each_algorithm(plain(), &[], |balancer, name| {
        assert_eq!(balancer.pick(b"key", 1, &[]), None, "{name}");
    });
    for_each_algorithm(plain(), &[(0, 0)], |balancer, name| {
        assert_eq!(balancer.pick(b"", 1, &[]), None, "{name}");
    });
}

#[test]
fn backups_serve_only_while_nobody_before_them_can() {
    for_each_algorithm(plain(), &[(1, 1), (1, 0), (1, 2), (1, 0)], |balancer, name| {
        let all = balancer.servers().to_vec();
        let none = |shares: &[u32], indices: &[usize]| indices.iter().all(|&index| shares[index] == 0);
        assert!(none(&shares(balancer, 1, &[]), &[0, 2]), "{name}");
        all[1].set_draining(true);
        assert_eq!(shares(balancer, 1, &[]), [0, 0, 0, 2_000], "{name}");
        assert_eq!(shares(balancer, 1, &[3]), [2_000, 0, 0, 0], "{name}: a retry may use a backup");
        all[3].set_healthy(false, 2);
        all[0].set_healthy(false, 2);
        assert_eq!(shares(balancer, 3, &[]), [0, 0, 2_000, 0], "{name}");
        all[3].set_healthy(true, 4);
        assert_eq!(shares(balancer, 5, &[]), [0, 0, 0, 2_000], "{name}");
    });
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    let settings = Settings { panic_threshold: 0.5, ..plain() };
    for_each_algorithm(settings, &[(1, 0), (1, 0), (1, 0), (1, 1)], |balancer, name| {
        let all = balancer.servers().to_vec();
        all[0].set_healthy(false, 1);
        let healthy = shares(balancer, 2, &[]);
        assert_eq!((healthy[0], healthy[3]), (0, 0), "{name}: two of three are healthy");
        all[1].eject_until(1_000);
        let panic = shares(balancer, 2, &[]);
        assert!(panic[..3].iter().all(|&share| share > 0) && panic[3] == 0, "{name}: {panic:?}");
        all[2].set_healthy(false, 3);
        assert_eq!(shares(balancer, 4, &[]), [0, 0, 0, 2_000], "{name}: none is healthy, the backup is");
        all[3].set_healthy(false, 5);
        let last_resort = shares(balancer, 6, &[]);
        assert!(last_resort[..3].iter().all(|&share| share > 0), "{name}: {last_resort:?}");
    });
}

#[test]
fn without_a_panic_threshold_nothing_healthy_is_no_answer() {
    for_each_algorithm(plain(), &[(1, 0), (1, 1)], |balancer, name| {
        for server in balancer.servers() {
            server.set_healthy(false, 1);
        }
        assert_eq!(balancer.pick(b"key", 2, &[]), None, "{name}");
    });
}

#[test]
fn a_server_that_came_back_gets_a_growing_share() {
    let settings = Settings { slow_start_ns: 1_000, ..plain() };
    for_each_algorithm(settings, &[(10, 0); 4], |balancer, name| {
        // The algorithms that look at load get some, and the averages are equal.
        for server in balancer.servers() {
            (0..19).for_each(|_| server.begin());
            server.begin();
            server.finish(1, Some(1_000_000));
        }
        let normal = shares(balancer, 1, &[])[2];
        balancer.servers()[2].set_healthy(false, 100);
        balancer.servers()[2].set_healthy(true, 10_000);
        let early = shares(balancer, 10_050, &[])[2];
        let grown = shares(balancer, 11_000, &[])[2];
        assert!(early * 3 < normal, "{name}: {early} of {normal}");
        assert!(grown * 2 > normal, "{name}: {grown} of {normal}");
    });
}

#[test]
fn a_warming_server_serves_when_it_is_the_only_one() {
    let settings = Settings { slow_start_ns: 1_000, ..plain() };
    for_each_algorithm(settings, &[(1, 0), (1, 0)], |balancer, name| {
        balancer.servers()[1].restart_slow_start(50);
        assert_eq!(shares(balancer, 51, &[0]), [0, 2_000], "{name}");
    });
}

#[test]
fn explain_says_why_for_each_server() {
    let settings = Settings { slow_start_ns: 1_000, ..plain() };
    let all = servers(&[(1, 0), (1, 0), (1, 0), (1, 0), (0, 0), (1, 0), (1, 0), (1, 1), (1, 1)]);
    all[1].set_healthy(false, 1);
    all[2].eject_until(9_000);
    all[3].set_draining(true);
    all[5].set_max_active(1);
    all[5].begin();
    all[6].restart_slow_start(4_500);
    all[8].set_draining(true);
    let balancer = Balancer::new(settings, all, 0).unwrap();
    let expected = [
        Standing::Eligible,
        Standing::Unhealthy,
        Standing::Ejected { until_ns: 9_000 },
        Standing::Draining,
        Standing::WeightZero,
        Standing::Full,
        Standing::Warming { share: 0.5 },
        Standing::Standby,
        Standing::Draining,
    ];
    assert_eq!(balancer.explain(5_000), expected);
}

#[test]
fn explain_agrees_with_pick() {
    for threshold in [0.0, 0.5, 1.0] {
        for state in 0..(1_u32 << 8) {
            let all = servers(&[(1, 0), (1, 0), (1, 1), (1, 1)]);
            for (index, server) in all.iter().enumerate() {
                server.set_healthy(state >> index & 1 == 0, 1);
                server.set_draining(state >> (index + 4) & 1 == 1);
            }
            let settings = Settings { panic_threshold: threshold, ..plain() };
            let mut balancer = Balancer::new(settings, all, 0).unwrap();
            let explained: Vec<bool> = balancer.explain(2).iter().map(Standing::serves).collect();
            let mut picked = vec![false; 4];
            for _ in 0..8 {
                if let Some(index) = balancer.pick(b"", 2, &[]) {
                    picked[index] = true;
                }
            }
            assert_eq!(explained, picked, "threshold {threshold}, state {state:08b}");
        }
    }
}

#[test]
fn a_fork_shares_servers_and_begins_elsewhere() {
    let mut first = Balancer::new(plain(), servers(&[(1, 0); 3]), 0).unwrap();
    let mut second = first.fork(1);
    assert_eq!((first.pick(b"", 1, &[]), second.pick(b"", 1, &[])), (Some(0), Some(1)));
    first.servers()[2].set_draining(true);
    assert!(second.servers()[2].draining());
}

#[test]
fn what_cannot_work_is_refused() {
    let twice = ["a", "a"].map(|name| Arc::new(Server::new(name, 1, 0))).to_vec();
    assert_eq!(Balancer::new(plain(), twice, 0).err(), Some(Error::DuplicateServer("a".into())));
    for panic_threshold in [-0.1, 1.1, f64::NAN] {
        let settings = Settings { panic_threshold, ..plain() };
        assert!(matches!(Balancer::new(settings, vec![], 0), Err(Error::PanicThreshold(_))));
    }
    for factor in [1.0, f64::NAN, f64::INFINITY] {
        let settings = Settings { load_factor: Some(factor), ..plain() };
        assert!(matches!(Balancer::new(settings, vec![], 0), Err(Error::LoadFactor(_))));
    }
    let maglev = Settings::new(Algorithm::ConsistentHash(RingKind::Maglev { table_size: 8 }));
    assert!(matches!(Balancer::new(maglev, servers(&[(1, 0)]), 0), Err(Error::Ring(_))));
    assert!("fastest".parse::<Algorithm>().is_err());
}

#[test]
fn a_server_that_is_wished_for_has_to_be_eligible() {
    let balancer = Balancer::new(plain(), servers(&[(1, 0), (1, 0), (1, 1), (0, 0)]), 3).unwrap();
    let admitted =
        |tried: &[usize]| (0..5).filter(|index| balancer.admits(*index, 10, tried)).collect::<Vec<_>>();
    assert_eq!(admitted(&[]), [0, 1, 2], "a backup, too: sessions that went there stay");
    assert_eq!(admitted(&[1]), [0, 2]);
    let all = balancer.servers();
    all[0].set_draining(true);
    all[1].set_healthy(false, 5);
    all[2].set_max_active(1);
    all[2].begin();
    assert_eq!(admitted(&[]), []);
}

#[test]
fn in_a_panic_health_is_no_reason_to_move() {
    let settings = Settings { panic_threshold: 0.6, ..plain() };
    let balancer = Balancer::new(settings, servers(&[(1, 0), (1, 0)]), 3).unwrap();
    balancer.servers()[1].set_healthy(false, 5);
    assert!(balancer.admits(1, 10, &[]));
}
