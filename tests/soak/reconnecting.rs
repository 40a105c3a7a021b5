//! Clients that come back to a server which hangs up, resets and falls silent: each question gets its own answer.

use std::io::{Read, Write};
use std::time::Duration;

use green::convenience::Server;
use green::net::{TcpListener, TcpStream};
use green::reconnect::{Presence, Reconnect};
use green::thread::sleep;
use test_support::random::Random;

use crate::storms::{CLOSES, Crew, MILLISECOND, OPERATIONS, count, finally, pause};

/// Serves a client as long as it pleases.
fn moody(mut stream: TcpStream, mut random: Random) {
    let mood = random.below(6);
    let mut question = [0; 8];
    for _ in 0..random.below(6) {
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        let half = if mood == 0 { 4 } else { 8 };
        if stream.write_all(&question[..half]).is_err() || half < 8 {
            return;
        }
    }
    count(&CLOSES);
    match mood {
        // Deaf until it is cut.
        1 => sleep(Duration::from_secs(3600)),
        2 | 3 => {
            let socket = stream.as_green_socket();
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        _ => {}
    }
}

fn ask(address: std::net::SocketAddr, mut random: Random) {
    let mut server = Reconnect::new(|| {
        let stream = TcpStream::connect(address)?;
        Presence::STEADY.apply(&stream)?;
        Ok(stream)
    })
    .open_limit(Duration::from_secs(5))
    .use_limit(200 * MILLISECOND)
    .pauses(MILLISECOND / 4..=5 * MILLISECOND)
    .attempts(None)
    .total_limit(None);
    for _ in 0..20 {
        let question = random.below(u64::MAX).to_le_bytes();
        let answer = server.run(|stream| {
            let mut answer = [0; 8];
            stream.write_all(&question)?;
            stream.read_exact(&mut answer)?;
            Ok(answer)
        });
        assert_eq!(answer.unwrap(), question, "an answer to another question");
        count(&OPERATIONS);
        pause(&mut random);
    }
}

pub fn round(mut random: Random) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(listener).grace(Duration::ZERO);
    let stop = server.stop_handle();
    let moods = std::sync::Mutex::new(Random::new(random.below(u64::MAX)));
    let serving = std::thread::spawn(move || {
        let served = server.run(move |stream: TcpStream, _| {
            let random = Random::new(moods.lock().unwrap().below(u64::MAX));
            moody(stream, random);
        });
        served.unwrap();
    });
    let stopping = finally(move || stop.stop());
    let mut crew = Crew::new(&mut random);
    for _ in 0..1 + random.below(5) {
        crew.any(move |random| ask(address, random));
    }
    crew.storm();
    drop(stopping);
    serving.join().unwrap();
}
