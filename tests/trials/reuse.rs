//! Numbers of descriptors closed and used again, with stale events and timers in flight.

use super::*;

#[test]
fn nothing_reaches_the_wrong_owner_of_a_number() {
    Trial::new("nothing reaches the", 3_000, 1_000_000).run(|rounds, mut random| {
        // Four on the same numbers: what one closes another one gets.
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let mut random = Random::of(random.below(u64::MAX), worker);
                spawn(move || {
                    let (mut read, mut timed_out) = (0u64, 0u64);
                    for round in 0..rounds / 4 {
                        let (source, mut peer) = pair();
                        let mark = (worker << 56 | round).to_le_bytes();
                        let begin = random.below(3);
                        if begin == 0 {
                            // An event that nobody may be there for any more.
                            io::Write::write_all(&mut peer, &mark).unwrap();
                        }
                        let limit = match random.below(3) {
                            0 => Duration::from_nanos(1),
                            n => 20 * MICROSECOND * n as u32,
                        };
                        if begin == 1 {
                            let late = peer.try_clone().unwrap();
                            // Comes about when the limit passes.
                            drop(spawn(move || {
                                yield_now();
                                let _ = io::Write::write_all(&mut &late, &mark);
                            }));
                        }
                        match receive(&source, Some(limit)) {
                            Ok(bytes) => {
                                assert_eq!(bytes, mark, "somebody else's bytes");
                                assert_ne!(begin, 2, "nobody wrote");
                                read += 1;
                            }
                            Err(error) => {
                                assert!(is_timeout(&error), "{error:?}");
                                assert_ne!(begin, 0, "the bytes were there");
                                timed_out += 1;
                            }
                        }
                        if random.below(2) == 0 {
                            source.close();
                        }
                    }
                    (read, timed_out)
                })
            })
            .collect();
        let (mut read, mut timed_out) = (0, 0);
        for worker in workers {
            let (r, t) = worker.join().unwrap();
            read += r;
            timed_out += t;
        }
        format!("{read} read, {timed_out} timed out, none wrong")
    });
}
