//! DDL over a MySQL port that is scripted packet by packet.

use super::*;
use crate::failure::{Code, Failure};
use crate::model::{Column, ColumnType};

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

const QUERY: u8 = 3;

fn refusal(code: u16, message: &str) -> Vec<u8> {
    [&[0xFF], code.to_le_bytes().as_slice(), b"#HY000", message.as_bytes()].concat()
}

/// The first packet of a server: protocol 4.1, native passwords.
fn greeting() -> Vec<u8> {
    let capabilities: u32 = 0x0008_A201;
    let [low_a, low_b, high_a, high_b] = capabilities.to_le_bytes();
    let ends = [low_a, low_b, 33, 2, 0, high_a, high_b, 21];
    [b"\x0a8.0.33\0\x01\0\0\0abcdefgh\0".as_slice(), &ends, &[0; 10], b"ijklmnopqrst\0mysql_native_password\0"].concat()
}

impl Peer<TcpStream> {
    async fn packet(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.ok()?;
        let bytes = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        Some(self.body(bytes).await)
    }

    async fn reply(&mut self, sequence: u8, payload: &[u8]) {
        let [a, b, c, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
        self.stream.write_all(&[&[a, b, c, sequence], payload].concat()).await.unwrap();
    }
}

/// A MySQL port that gives the statements these answers, one after the other, and keeps them as heads.
async fn port(answers: Vec<Vec<u8>>) -> Node {
    Node::start(move |mut peer| {
        let answers = answers.clone();
        async move {
            peer.reply(0, &greeting()).await;
            peer.packet().await;
            peer.reply(2, OK).await;
            let mut answers = answers.iter();
            while let Some(packet) = peer.packet().await {
                if packet[0] != QUERY {
                    break;
                }
                peer.heads.lock().unwrap().push(String::from_utf8_lossy(&packet[1..]).into_owned());
                peer.reply(1, answers.next().expect("no more statements than answers")).await;
            }
        }
    })
    .await
}

async fn create(node: &Node) -> Result<(), Error> {
    let mut options = options(&[1]);
    options.mysql_port = node.port;
    StarRocks::new(options).unwrap().create_table(&[Column::new("id", ColumnType::Int)]).await
}

#[tokio::test]
async fn a_table_is_created_without_touching_a_database_that_exists() {
    let node = port(vec![OK.to_vec()]).await;
    create(&node).await.unwrap();
    let statements = node.finish().await;
    assert_eq!(statements.len(), 1);
    assert!(statements[0].starts_with("CREATE TABLE IF NOT EXISTS `db`.`t` (\n  `id` INT NULL\n)"), "{statements:?}");
}

#[tokio::test]
async fn a_missing_database_is_created_first() {
    let node = port(vec![refusal(1049, "Unknown database 'db'"), OK.to_vec(), OK.to_vec()]).await;
    create(&node).await.unwrap();
    let statements = node.finish().await;
    assert_eq!(statements[1], "CREATE DATABASE IF NOT EXISTS `db`");
    assert_eq!(statements[0], statements[2]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (answers, code) in [
        (vec![refusal(1064, "Getting syntax error")], Code::RequestRefused),
        (vec![refusal(5203, "Access denied; you need CREATE TABLE")], Code::AccessDenied),
        (vec![refusal(1049, "Unknown database 'db'"), refusal(1044, "Access denied")], Code::AccessDenied),
    ] {
        let node = port(answers).await;
        assert_eq!(create(&node).await.unwrap_err().code(), code);
        node.finish().await;
    }
}

#[tokio::test]
async fn a_port_that_nothing_listens_on_is_named() {
    let mut options = options(&[1]);
    options.mysql_port = closed_port().await;
    let port = options.mysql_port;
    let columns = [Column::new("id", ColumnType::Int)];
    let error = StarRocks::new(options).unwrap().create_table(&columns).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetUnreachable);
    assert!(error.to_string().contains(&format!("127.0.0.1:{port} (MySQL)")), "{error}");
}
