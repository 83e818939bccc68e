//! Every row once, whatever the far side says: a proxy in front of the backend drops, delays, doubles and falsifies answers.
//!
//! After each lie the table holds every row exactly once, or the exit code says that it may not; and the plain import
//! after it, told the truth, completes the job without doubling a row.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use serde_json::{Value, json};

use super::support::{Ran, Sandbox, World};

/// Rows of the input: enough for four loads of the smallest size.
const ROWS: u64 = 2_000;

/// What the proxy does with one attempt.
#[derive(Clone)]
enum Lie {
    /// Lets everything through.
    None,
    /// Lets the load be committed and closes the connection without a word.
    Drop,
    /// Lets the load be committed and answers with this instead.
    Say(String),
    /// Lets the load be committed and changes the answer.
    Change(fn(&mut Value)),
    /// Lets the load be committed and says half of the answer, as the whole of it.
    Half,
    /// The same, and the connection ends where the other half should be.
    Torn,
    /// Lets the load be committed, and its answer through when the test says so, and then once more.
    LateAndTwice,
    /// Closes the connection when the backend asks for the body.
    BeforeBody,
    /// Answers with this before the backend hears of the load.
    Refuse(String),
    /// Lets the load be committed, says so to the test, and answers nothing until the client is gone.
    Silence,
}

/// A proxy in front of a backend.
struct Liar {
    address: String,
    attempts: Arc<AtomicUsize>,
    /// Says that a load was committed whose answer the proxy holds back.
    held: mpsc::Receiver<()>,
    /// Lets one answer go that the proxy holds back.
    release: mpsc::SyncSender<()>,
}

/// Starts a proxy that treats the first attempts as listed, and every further one honestly.
fn liar(backend: &str, lies: Vec<Lie>) -> Liar {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let attempts = Arc::new(AtomicUsize::new(0));
    let (tell, held) = mpsc::channel();
    let (release, released) = mpsc::sync_channel(1);
    let released = Arc::new(Mutex::new(released));
    let (counted, backend) = (Arc::clone(&attempts), backend.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let number = counted.fetch_add(1, Ordering::SeqCst);
            let lie = lies.get(number).cloned().unwrap_or(Lie::None);
            let (backend, tell, released) = (backend.clone(), tell.clone(), Arc::clone(&released));
            // What breaks an exchange is the other side's business; the test looks at what came of it.
            thread::spawn(move || drop(exchange(client, &backend, &lie, &tell, &released)));
        }
    });
    Liar { address, attempts, held, release }
}

/// One attempt: headers, `100 Continue`, body and answer.
fn exchange(
    client: TcpStream,
    backend: &str,
    lie: &Lie,
    tell: &mpsc::Sender<()>,
    released: &Mutex<mpsc::Receiver<()>>,
) -> std::io::Result<()> {
    let mut to_client = client.try_clone()?;
    let mut from_client = BufReader::new(client);
    let head = head(&mut from_client)?;
    if let Lie::Refuse(answer) = lie {
        return to_client.write_all(answer.as_bytes());
    }
    let mut to_backend = TcpStream::connect(backend)?;
    let mut from_backend = BufReader::new(to_backend.try_clone()?);
    to_backend.write_all(head.as_bytes())?;
    let mut answer = self::head(&mut from_backend)?;
    if matches!(lie, Lie::BeforeBody) {
        return to_client.shutdown(Shutdown::Both);
    }
    if answer.starts_with("HTTP/1.1 100") {
        to_client.write_all(answer.as_bytes())?;
        let sent = std::io::copy(&mut (&mut from_client).take(length(&head)), &mut to_backend)?;
        if sent < length(&head) {
            // The client is gone; the backend learns it by the connection's end.
            return to_backend.shutdown(Shutdown::Both);
        }
        answer = self::head(&mut from_backend)?;
    }
    let mut body = vec![0; usize::try_from(length(&answer)).unwrap()];
    from_backend.read_exact(&mut body)?;
    match lie {
        Lie::None => to_client.write_all(&[answer.as_bytes(), &body].concat()),
        Lie::Drop => to_client.shutdown(Shutdown::Both),
        Lie::Say(said) => to_client.write_all(said.as_bytes()),
        Lie::Change(change) => {
            let mut value = serde_json::from_slice(&body)?;
            change(&mut value);
            to_client.write_all(reply(&value.to_string()).as_bytes())
        }
        Lie::Half => {
            let half = String::from_utf8_lossy(&body[..body.len() / 2]).into_owned();
            to_client.write_all(reply(&half).as_bytes())
        }
        Lie::Torn => {
            to_client.write_all(&[answer.as_bytes(), &body[..body.len() / 2]].concat())?;
            to_client.shutdown(Shutdown::Both)
        }
        Lie::LateAndTwice => {
            tell.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            to_client.write_all(&[answer.as_bytes(), &body, answer.as_bytes(), &body].concat())
        }
        Lie::Silence => {
            tell.send(()).unwrap();
            from_client.read_to_end(&mut Vec::new()).map(drop)
        }
        Lie::BeforeBody | Lie::Refuse(_) => unreachable!("answered above"),
    }
}

/// Reads up to the empty line behind the headers.
fn head(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn length(head: &str) -> u64 {
    let line = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    line.map_or(0, |length| length.trim().parse().unwrap())
}

fn reply(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// A backend's failure in these words.
fn fail(message: &str) -> String {
    reply(&json!({ "TxnId": 7, "Status": "Fail", "Message": message }).to_string())
}

/// A sandbox, and a file that goes into its table `lies` in several loads.
struct Place {
    world: World,
    sandbox: Sandbox,
    file: String,
}

impl Place {
    fn new() -> Self {
        let world = World::new();
        let rows: String = (1..=ROWS).map(|id| format!("{id},{}\n", id * 7)).collect();
        let file = world.file("lies.csv", format!("id,n\n{rows}"));
        let sandbox = world.sandbox(&[]);
        Self { world, sandbox, file }
    }

    fn arguments(&self, backend: &str) -> Vec<String> {
        let (target, mapped) = (self.sandbox.target("demo/lies"), format!("127.0.0.1={backend}"));
        let port = self.sandbox.mysql_port();
        let flags =
            ["--output", "json", "--create-table", "--load-size", "4KiB", "--parallel", "2", "--commit", "load"];
        let place = [self.file.as_str(), "--to", &target, "--mysql-port", &port, "--map-host", &mapped];
        [&["import"], &place[..], &flags[..]].concat().into_iter().map(str::to_owned).collect()
    }

    /// The command that imports the file by way of a proxy.
    fn command(&self, liar: &Liar) -> Command {
        let mut command = self.world.command(&[]);
        command.args(self.arguments(&liar.address)).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn import_through(&self, liar: &Liar) -> Ran {
        Ran::of(self.command(liar).output().unwrap())
    }

    /// The same import, straight to the backend.
    fn import(&self) -> Ran {
        let arguments = self.arguments(&self.sandbox.backend);
        self.world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The rows are in the table, each of them once.
    fn holds_every_row_once(&self) {
        let row = self.world.rows("demo", "select count(*) c, count(distinct id) d, sum(n) s from lies").remove(0);
        let number = |name: &str| match &row[name] {
            Value::String(text) => text.parse().unwrap(),
            other => other.as_u64().unwrap(),
        };
        let found = (number("c"), number("d"), number("s"));
        assert_eq!(found, (ROWS, ROWS, 7 * ROWS * (ROWS + 1) / 2), "ROWS-1");
    }

    fn holds_no_row_twice(&self) {
        let row = self.world.rows("demo", "select count(*) c, count(distinct id) d from lies").remove(0);
        assert_eq!(row["c"], row["d"], "ROWS-1");
    }

    /// A plain import finds everything done.
    fn is_finished(&self) {
        assert_eq!(self.import().loaded()["state"], json!("already_loaded"));
        self.holds_every_row_once();
    }
}

/// The lies are seen through: every row arrives, once, in the same run, and its report adds up.
fn seen_through(lies: Vec<Lie>) -> Value {
    let told = lies.len();
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, lies);
    let report = place.import_through(&liar).loaded();
    assert!(liar.attempts.load(Ordering::SeqCst) >= told, "every lie was told");
    place.holds_every_row_once();
    assert_eq!(report["rows_loaded"], json!(ROWS));
    assert_eq!(sum(&report["loads"], "rows"), ROWS);
    assert!(report["loads"].as_array().unwrap().len() > 3, "{report}");
    place.is_finished();
    report
}

fn sum(items: &Value, field: &str) -> u64 {
    items.as_array().unwrap().iter().map(|item| item[field].as_u64().unwrap()).sum()
}

#[test]
fn an_answer_that_is_lost_after_the_commit() {
    let report = seen_through(vec![Lie::Drop, Lie::None, Lie::Drop]);
    assert_eq!(
        sum(&report["loads"], "attempts"),
        report["loads"].as_array().unwrap().len() as u64,
        "nothing sent twice"
    );
}

#[test]
fn a_failure_after_the_commit() {
    seen_through(vec![Lie::Say(fail("FE RPC failure, address=TNetworkAddress(hostname=fe1, port=9020)")); 2]);
}

#[test]
fn html_after_the_body() {
    let page = "<html><body>502 Bad Gateway</body></html>";
    let bad_gateway = format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    seen_through(vec![Lie::Say(reply(page)), Lie::Say(bad_gateway)]);
}

#[test]
fn an_answer_that_breaks_off() {
    seen_through(vec![Lie::Half, Lie::Torn]);
}

#[test]
fn a_publish_timeout() {
    let report = seen_through(vec![Lie::Change(|answer| answer["Status"] = json!("Publish Timeout"))]);
    let states: Vec<_> = report["loads"].as_array().unwrap().iter().map(|load| &load["state"]).collect();
    assert!(states.contains(&&json!("committed")), "{states:?}");
}

#[test]
fn a_connection_that_breaks_before_the_body() {
    seen_through(vec![Lie::BeforeBody, Lie::BeforeBody]);
}

#[test]
fn a_backend_that_is_busy_for_a_while() {
    seen_through(vec![Lie::Refuse(fail("TXN_IN_PROCESSING")); 2]);
}

#[test]
fn an_answer_that_comes_late_and_twice() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, vec![Lie::LateAndTwice]);
    let mut child = place.command(&liar).spawn().unwrap();
    liar.held.recv().unwrap();
    assert!(child.try_wait().unwrap().is_none(), "it waits for the answer");
    liar.release.send(()).unwrap();
    Ran::of(child.wait_with_output().unwrap()).loaded();
    place.holds_every_row_once();
    place.is_finished();
}

#[test]
fn counts_and_labels_of_other_loads() {
    let lies: [fn(&mut Value); 5] = [
        |answer| answer["NumberTotalRows"] = json!(1),
        |answer| answer["NumberLoadedRows"] = json!(0),
        |answer| answer["NumberFilteredRows"] = json!(1),
        |answer| answer["Label"] = json!("somebody-elses"),
        |answer| answer["LoadBytes"] = json!(3),
    ];
    for lie in lies {
        let place = Place::new();
        let liar = liar(&place.sandbox.backend, vec![Lie::None, Lie::Change(lie)]);
        place.import_through(&liar).fails_with(5, "L2011", &["other counts than were sent"]);
        // What cannot be trusted is neither sent again nor passed over, however often it is tried.
        place.import().fails_with(5, "L2011", &["--again"]);
        place.holds_no_row_twice();
        // Without the journal the server's word for the label is all there is, and it keeps the rows from doubling.
        std::fs::remove_dir_all(place.world.path().join(".local")).unwrap();
        place.import().loaded();
        place.holds_every_row_once();
    }
}

#[test]
fn nodes_that_point_at_each_other() {
    let place = Place::new();
    let location = format!("http://{}/api/demo/lies/_stream_load", place.sandbox.backend);
    let loop_back = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let liar = liar(&place.sandbox.backend, vec![Lie::Refuse(loop_back); 100]);
    place.import_through(&liar).fails_with(1, "L2006", &["redirect number"]);
    assert_eq!(place.world.number("select count(*) from lies"), 0.0);
    place.import().loaded();
    place.holds_every_row_once();
}

#[test]
fn a_loader_that_is_killed_between_its_loads_goes_on_where_it_stopped() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, vec![Lie::None, Lie::None, Lie::Silence, Lie::Silence]);
    let mut child = place.command(&liar).spawn().unwrap();
    // Two loads are settled, and the answers to two committed ones are on their way for ever.
    for _ in 0..2 {
        liar.held.recv().unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let report = place.import().loaded();
    place.holds_every_row_once();
    let attempts: Vec<_> = report["loads"].as_array().unwrap().iter().map(|load| load["attempts"].clone()).collect();
    assert_eq!(attempts[..4], [json!(0), json!(0), json!(0), json!(0)], "what was committed is not sent again");
    assert_eq!((&report["rows_read"], &report["rows_loaded"]), (&json!(ROWS), &json!(ROWS)));
    place.is_finished();
}

#[test]
fn ctrl_c_after_a_commit_that_was_not_answered() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, vec![Lie::Silence]);
    let mut child = place.command(&liar).spawn().unwrap();
    liar.held.recv().unwrap();
    for word in ["interrupted: ", "interrupted again: "] {
        super::interrupts::heard(&mut child, "-INT", word);
    }
    let ran = Ran::of(child.wait_with_output().unwrap());
    ran.fails_with(130, "L3003", &["run the same command again"]);
    let report = ran.report();
    // A load without an answer has no transaction to name: how it stands was asked.
    let asked = |load: &Value| load["state"] == "visible" && load["transaction_id"].is_null();
    assert!(report["loads"].as_array().unwrap().iter().any(asked), "{report}");
    place.import().loaded();
    place.holds_every_row_once();
    place.is_finished();
}

#[test]
fn the_same_import_twice_at_the_same_time() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, vec![Lie::LateAndTwice]);
    let first = place.command(&liar).spawn().unwrap();
    liar.held.recv().unwrap();
    // With a journal of its own, as on another machine: with the same one it would wait for the first.
    let mut second = place.arguments(&place.sandbox.backend);
    second.extend(["--state-dir", "second"].map(str::to_owned));
    place.world.run(&second.iter().map(String::as_str).collect::<Vec<_>>()).loaded();
    place.holds_every_row_once();
    liar.release.send(()).unwrap();
    let report = Ran::of(first.wait_with_output().unwrap()).loaded();
    assert_eq!(report["rows_loaded"], json!(ROWS));
    place.is_finished();
}

#[test]
fn the_same_import_started_many_times_at_once() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, Vec::new());
    let children: Vec<_> = (0..4).map(|_| place.command(&liar).spawn().unwrap()).collect();
    for child in children {
        assert_eq!(Ran::of(child.wait_with_output().unwrap()).loaded()["rows_loaded"], json!(ROWS));
    }
    place.holds_every_row_once();
    place.is_finished();
}

#[test]
fn a_full_disk_under_the_journal_stops_before_anything_is_sent() {
    let place = Place::new();
    let liar = liar(&place.sandbox.backend, Vec::new());
    // The shell's limit on file sizes ends writes as a full disk does, with an error instead of a signal.
    let script = format!("trap '' XFSZ; ulimit -f 0; exec {} \"$@\"", env!("CARGO_BIN_EXE_shipload"));
    let mut command = Command::new("bash");
    command.args(["-c", &script, "shipload"]).args(place.arguments(&liar.address));
    let ran = Ran::of(command.current_dir(place.world.path()).env("HOME", place.world.path()).output().unwrap());
    ran.fails_with(1, "L3002", &["journal.sqlite", "--state-dir"]);
    assert_eq!(liar.attempts.load(Ordering::SeqCst), 0, "nothing was sent");
    place.import().loaded();
    place.holds_every_row_once();
}

#[test]
fn a_file_that_was_corrected_after_a_part_of_it_was_loaded_is_not_loaded_from_the_start() {
    let place = Place::new();
    // More than is read at once: what stands well before the reject is sent before it is found.
    let rows = |last: &str| (1..200_000).map(|id| format!("{id},1\n")).collect::<String>() + "200000," + last + "\n";
    let dirty = format!("id,n\n{}", rows("one"));
    place.world.file("first.csv", "id,n\n0,1\n");
    place
        .world
        .import(&[
            "first.csv",
            "--to",
            &place.sandbox.target("demo/part"),
            "--create-table",
            "--mysql-port",
            &place.sandbox.mysql_port(),
        ])
        .loaded();
    place.world.file("part.csv", &dirty);
    let target = place.sandbox.target("demo/part");
    let import = |more: &[&str]| {
        place.world.import(&[&["part.csv", "--to", &target, "--load-size", "16KiB", "--commit", "load"], more].concat())
    };
    import(&[]).fails_with(4, "L2004", &["loaded already", "--max-rejects"]);
    let loaded = place.world.number("select count(*) from part");
    assert!(loaded > 1.0, "a part of it is loaded");

    // Corrected, it would be other work with other labels, and what is loaded would be loaded twice.
    place.world.file("part.csv", format!("id,n\n{}", rows("1")));
    import(&[]).fails_with(1, "L3002", &["part.csv", "half-way", "--again"]);
    assert_eq!(place.world.number("select count(*) from part"), loaded);

    let named = import(&["--job", "corrected"]).loaded();
    assert_eq!(named["rows_loaded"], json!(200_000), "a name says that it is meant");
}

#[test]
fn the_rows_before_a_reject_are_completed_by_allowing_it_and_by_its_correction() {
    let place = Place::new();
    let rows: String = (1..200_000).map(|id| format!("{id},1\n")).collect();
    place.world.file("first.csv", "id,n\n0,1\n");
    place.world.file("part.csv", format!("id,n\n{rows}200000,one\n"));
    let (target, port) = (place.sandbox.target("demo/part"), place.sandbox.mysql_port());
    place.world.import(&["first.csv", "--to", &target, "--create-table", "--mysql-port", &port]).loaded();
    let import = |more: &[&str]| {
        place.world.import(&[&["part.csv", "--to", &target, "--load-size", "16KiB", "--commit", "load"], more].concat())
    };
    import(&[]).fails_with(4, "L2004", &["1 of 200000 rows was rejected", "--max-rejects"]);
    for state in ["finished", "already_loaded"] {
        let ran = import(&["--max-rejects", "1"]);
        assert_eq!((ran.code, &ran.report()["state"]), (3, &json!(state)), "{}", ran.stderr);
        let count = |field: &str| ran.report()[field].as_u64().unwrap();
        assert_eq!((count("rows_read"), count("rows_loaded"), count("rows_rejected")), (200_000, 199_999, 1));
    }
    let folder = import(&["--max-rejects", "1"]).report()["rejects"].as_str().unwrap().to_owned();
    let rejects = place.world.path().join(folder).join("part.csv.rejects.csv");
    let corrected = std::fs::read_to_string(&rejects).unwrap().replace("one", "1");
    std::fs::write(&rejects, corrected).unwrap();
    place.world.import(&[&rejects.display().to_string(), "--to", &target]).loaded();
    let row = place.world.rows("demo", "select count(*) c, count(distinct id) d from part").remove(0);
    assert_eq!(row, json!({ "c": 200_001, "d": 200_001 }), "ROWS-1");
}

#[test]
fn many_small_files_are_described_in_a_line() {
    let place = Place::new();
    for id in 0..200 {
        place.world.file(&format!("many/{id}.csv"), format!("id,n\n{id},1\n"));
    }
    let ran = place.world.import(&["many", "--to", "sandbox:demo/many"]);
    assert_eq!(ran.loaded()["rows_loaded"], json!(200));
    assert!(ran.stderr.contains("many/0.csv and 199 more: CSV") && ran.stderr.lines().count() < 5, "{}", ran.stderr);
}
