//! Clients of databases that answer late.

use mysql::prelude::Queryable;
use test_support::servers::{Postgres, Server};

use super::Case;
use crate::late::LATE;

pub fn redis() -> Option<Case> {
    let server = Server::redis()?;
    let client = redis::Client::open(format!("redis://127.0.0.1:{}/", server.port)).unwrap();
    Some(Case::new("redis", server, move |n| {
        let mut connection = client.get_connection().unwrap();
        move || {
            let key = format!("key {n}");
            redis::cmd("SET")
                .arg(&key)
                .arg(n)
                .exec(&mut connection)
                .unwrap();
            let mut late = redis::cmd("BLPOP");
            late.arg("a list that stays empty").arg(LATE.as_secs_f64());
            let nothing = late.query::<Option<()>>(&mut connection);
            assert_eq!(nothing, Ok(None));
            redis::cmd("GET").arg(&key).query(&mut connection).unwrap()
        }
    }))
}

/// By a pool that is shared: r2d2 inside, its condition variables, and its OS threads.
pub fn memcache() -> Option<Case> {
    let server = Server::memcached()?;
    let url = format!("memcache://127.0.0.1:{}", server.port);
    let client = memcache::Client::with_pool_size(url, 20).unwrap();
    Some(Case::new("memcache", server, move |n| {
        let client = client.clone();
        move || {
            let key = format!("key{n}");
            client.set(&key, n as u64, 0).unwrap();
            std::thread::sleep(LATE);
            client.get::<u64>(&key).unwrap().unwrap().to_string()
        }
    }))
}

/// A statement that is prepared, over TCP.
pub fn mysql() -> Option<Case> {
    let server = Server::mariadb()?;
    let options = mysql::OptsBuilder::new()
        .ip_or_hostname(Some("127.0.0.1"))
        .tcp_port(server.port)
        // Over TCP, although the server is on this machine.
        .prefer_socket(false);
    let options = mysql::Opts::from(options);
    Some(Case::new("mysql", server, move |n| {
        let mut connection = mysql::Conn::new(options.clone()).unwrap();
        move || {
            let query = format!("SELECT ?, SLEEP({})", LATE.as_secs_f64());
            let row = connection.exec_first(query, (n,)).unwrap();
            let (number, slept): (usize, u8) = row.unwrap();
            assert_eq!(slept, 0);
            number.to_string()
        }
    }))
}

/// A runtime of tokio's in each client.
pub fn postgres() -> Option<Case> {
    let database = Postgres::start()?;
    let address = database.address();
    Some(Case::new("postgres", database, move |n| {
        let mut client = postgres::Client::connect(&address, postgres::NoTls).unwrap();
        move || {
            let query = format!("SELECT $1::int8 FROM pg_sleep({})", LATE.as_secs_f64());
            let row = client.query_one(&query, &[&(n as i64)]).unwrap();
            row.get::<_, i64>(0).to_string()
        }
    }))
}

/// A pool of twenty connections to nothing.
pub fn r2d2() -> Case {
    struct Slow;
    impl r2d2::ManageConnection for Slow {
        type Connection = ();
        type Error = std::io::Error;
        fn connect(&self) -> std::io::Result<()> {
            std::thread::sleep(LATE);
            Ok(())
        }
        fn is_valid(&self, _: &mut ()) -> std::io::Result<()> {
            Ok(())
        }
        fn has_broken(&self, _: &mut ()) -> bool {
            false
        }
    }
    let pool = r2d2::Pool::builder().max_size(20).build(Slow).unwrap();
    Case::new("r2d2", (), move |n| {
        let pool = pool.clone();
        move || {
            let held = pool.get().unwrap();
            std::thread::sleep(LATE);
            drop(held);
            n.to_string()
        }
    })
}
