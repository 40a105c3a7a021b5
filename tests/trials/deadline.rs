//! Data that arrives around the deadline, from 50 µs before to 100 µs after: no byte lost, nobody woken twice.

use super::*;

#[test]
fn a_byte_at_the_deadline_is_read_now_or_by_the_next_call() {
    Trial::new("a byte at the deadline", 1_500, 1_000_000).run(|rounds, mut random| {
        let (source, mut peer) = pair();
        let source = Arc::new(source);
        let limit = 300 * MICROSECOND;
        // Where the byte is due, for the writer; 0 for the end.
        let (send, due) = std::sync::mpsc::sync_channel::<Option<(Instant, u8)>>(1);
        let writer = std::thread::spawn(move || {
            while let Ok(Some((at, byte))) = due.recv() {
                while Instant::now() < at {
                    std::hint::spin_loop();
                }
                io::Write::write_all(&mut peer, &[byte]).unwrap();
            }
        });
        let reader = Builder::new().hub(0).spawn(move || {
            let (mut now, mut next, mut lateness) = (0u64, 0u64, Vec::new());
            for round in 0..rounds {
                let byte = (round % 251) as u8;
                let offset = MICROSECOND * random.below(151) as u32;
                let began = Instant::now();
                send.send(Some((began + limit - 50 * MICROSECOND + offset, byte))).unwrap();
                match receive(&source, Some(limit)) {
                    Ok(bytes) => {
                        assert_eq!(bytes, [byte]);
                        now += 1;
                    }
                    Err(error) => {
                        assert!(is_timeout(&error), "{error:?}");
                        let taken = began.elapsed();
                        assert!(taken >= limit, "early: {taken:?}");
                        lateness.push(taken - limit);
                        assert_eq!(receive(&source, None).unwrap(), [byte], "round {round}");
                        next += 1;
                    }
                }
                if round % 64 == 0 {
                    // A second wake-up would cut this short.
                    let began = Instant::now();
                    sleep(50 * MICROSECOND);
                    assert!(began.elapsed() >= 50 * MICROSECOND);
                }
            }
            send.send(None).unwrap();
            lateness.sort_unstable();
            let at = |share: usize| {
                let last = lateness.len().saturating_sub(1);
                lateness.get((lateness.len() * share / 1000).min(last)).copied().unwrap_or_default()
            };
            format!(
                "{now} read in time, {next} by the next call; late by {:.1?} (median), {:.1?} (p99.9)",
                at(500),
                at(999)
            )
        });
        let counts = reader.unwrap().join().unwrap();
        writer.join().unwrap();
        counts
    });
}
