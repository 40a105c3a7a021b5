use std::io::ErrorKind;

use greenhub::green_thread::spawn;

use super::*;
use crate::os::unix::net::UnixStream;
use crate::ssl::testing::{SETUPS, client_context, server_context};

const LIMIT: Duration = Duration::from_millis(200);

#[test]
fn a_peer_that_takes_nothing_is_cut_when_our_direction_ends_over_tls() {
    for setup in SETUPS {
        let (client, server) = UnixStream::pair().unwrap();
        let context = client_context(setup.client);
        let shaking = spawn(move || {
            let client = context.wrap_socket(client, Some("localhost")).unwrap();
            client.do_handshake().unwrap();
            client
        });
        let server = server_context(setup.server).accept(server).unwrap();
        server.do_handshake().unwrap();
        let _deaf = shaking.join().unwrap();
        // There is no room for another byte.
        let socket = server.get_ref();
        socket.set_write_timeout(Some(LIMIT / 4)).unwrap();
        for size in [1 << 16, 1] {
            while socket.send(&vec![0; size]).is_ok() {}
        }
        socket.set_write_timeout(None).unwrap();
        let stream = Upgraded {
            stream: Box::new(server),
            early: Bytes::new(),
            writing: Arc::default(),
            limit: Some(LIMIT),
        };
        let ended = crate::timeout(LIMIT * 50, || stream.end_writing());
        let error = ended.expect("it ends by its own limit").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Who reads hears of it.
        let mut reader = stream;
        assert!(!matches!(reader.read(&mut [0]), Ok(1..)));
    }
}
