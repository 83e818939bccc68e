//! Watched folders: what comes into them is loaded once, whatever it is called and whoever dies meanwhile.

use std::fs;
use std::path::PathBuf;

use crate::service::{Place, Service, csv, target, wait_for};

/// A place with a watched folder `in/NAME`, into the table of that name.
fn watch(place: &Place, name: &str, rest: &str) -> String {
    let folder = place.world.path().canonicalize().unwrap();
    fs::create_dir_all(folder.join("in").join(name)).unwrap();
    let folder = folder.display();
    format!(
        "[watch.{name}]\nglob = \"{folder}/in/{name}/*.csv\"\ndatabase = \"demo\"\ntable = \"{name}\"\n\
         interval = \"50ms\"\nsettle = \"100ms\"\n{}\n",
        rest.replace("HERE", &folder.to_string())
    )
}

fn gone(path: &str) {
    wait_for(&format!("that {path} is put away"), || (!PathBuf::from(path).exists()).then_some(()));
}

fn outcomes(service: &Service, watch: &str, outcome: &str) -> f64 {
    let series = format!("shipload_watched_files_total{{watch=\"{watch}\",outcome=\"{outcome}\"}} ");
    let text = service.get("/metrics").of(200).text();
    text.lines().find_map(|line| line.strip_prefix(&series)).map_or(0.0, |value| value.parse().unwrap())
}

#[test]
fn a_content_is_loaded_once_under_whichever_name_and_what_cannot_be_is_put_aside_with_its_reason() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let orders = "settings = [\"create_table=true\"]\nloaded = \"move\"\nloaded_dir = \"HERE/loaded\"\nfailed_dir = \"HERE/failed\"";
    let marked = "settings = [\"create_table=true\"]\nloaded = \"delete\"\nmarker = \".done\"";
    let watches = watch(&place, "orders", orders) + &watch(&place, "marked", marked);
    place.configure("", &(target("lake", &sandbox) + &watches));
    // One of them lies there before anybody looks.
    let first = place.rows("orders/a.csv", 0, 1000);
    let service = place.start();
    gone(&first);
    assert_eq!(place.counts(&sandbox, "orders"), (1000, 1000));

    // The same content under another name, and beside it one that is new.
    let (copy, new) = (place.rows("orders/copy.csv", 0, 1000), place.rows("orders/b.csv", 1000, 500));
    gone(&copy);
    gone(&new);
    assert_eq!(place.counts(&sandbox, "orders"), (1500, 1500));
    assert_eq!(outcomes(&service, "orders", "already_loaded"), 1.0);
    let loaded = place.world.path().join("loaded");
    let mut names: Vec<_> = fs::read_dir(&loaded).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.csv", "b.csv", "copy.csv"]);

    // What does not fit goes to the failed ones, and says why.
    let bad = place.world.file("in/orders/bad.csv", "id,name\n1,x\nnonsense,y\n");
    gone(&bad);
    let failed = place.world.path().join("failed");
    let reason = fs::read_to_string(failed.join("bad.csv.reason.txt")).unwrap();
    assert!(reason.starts_with("error[L") && reason.contains("hint: ") && reason.contains("job: orders-"), "{reason}");
    assert!(failed.join("bad.csv").exists());
    assert_eq!(place.counts(&sandbox, "orders"), (1500, 1500));

    // Without its marker a file may grow for as long as it likes.
    let slow = place.world.file("in/marked/slow.csv", csv(0, 10));
    let whole = place.rows("marked/whole.csv", 100, 10);
    place.world.file("in/marked/whole.csv.done", "");
    gone(&whole);
    gone(&format!("{whole}.done"));
    assert!(PathBuf::from(&slow).exists());
    assert_eq!(place.counts(&sandbox, "marked"), (10, 10));
    place.world.file("in/marked/slow.csv", csv(0, 20));
    place.world.file("in/marked/slow.csv.done", "");
    gone(&slow);
    assert_eq!(place.counts(&sandbox, "marked"), (30, 30));
    assert_eq!(service.stop(), 0);
}

#[test]
fn a_file_is_taken_as_soon_as_it_is_whole_and_not_at_the_next_look() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let hour = |name: &str, rest: &str| {
        let rest = format!("settings = [\"create_table=true\"]\nloaded = \"delete\"\n{rest}");
        watch(&place, name, &rest).replace("interval = \"50ms\"", "interval = \"1h\"")
    };
    let deep = hour("deep", "").replace("/in/deep/*.csv", "/in/deep/*/*.csv");
    let watches = hour("orders", "") + &hour("marked", "marker = \".done\"") + &deep;
    place.configure("", &(target("lake", &sandbox) + &watches));
    let early = place.rows("orders/early.csv", 0, 10);
    let service = place.start();
    gone(&early);
    let written = place.rows("orders/written.csv", 10, 10);
    gone(&written);
    // Under its name only when it is whole.
    let hidden = place.rows("orders/.hidden.csv", 20, 10);
    let named = hidden.replace(".hidden", "named");
    fs::rename(&hidden, &named).unwrap();
    gone(&named);
    assert_eq!(place.counts(&sandbox, "orders"), (30, 30));
    let marked = place.rows("marked/a.csv", 0, 10);
    place.world.file("in/marked/a.csv.done", "");
    gone(&marked);
    // A folder that was not there before, and a file in it that was written before anybody listened.
    gone(&place.rows("deep/new/a.csv", 0, 10));
    gone(&place.rows("deep/new/b.csv", 10, 10));
    assert_eq!(place.counts(&sandbox, "deep"), (20, 20));
    assert_eq!(service.stop(), 0);
}

#[test]
fn a_file_that_was_half_loaded_and_renamed_while_the_service_was_dead_is_loaded_once() {
    let place = Place::new();
    let sandbox = place.world.sandbox(&[]);
    let slow = "settings = [\"create_table=true\", \"max_rate=1MB\", \"commit=load\"]\nloaded = \"delete\"";
    place.configure("", &(target("lake", &sandbox) + &watch(&place, "orders", slow)));
    let service = place.start();
    let file = place.rows("orders/a.csv", 0, 60_000);
    wait_for("a part of it", || {
        let jobs = service.get("/v1/jobs").of(200).json();
        let job = &jobs["jobs"][0];
        assert_ne!(job["state"], "finished", "it is too fast for this test");
        (job["progress"]["rows_loaded"].as_u64()? > 0).then_some(())
    });
    service.kill();
    let (before, _) = place.counts(&sandbox, "orders");
    assert!(before > 0 && before < 60_000, "{before}");
    let renamed = file.replace("a.csv", "renamed.csv");
    fs::rename(&file, &renamed).unwrap();

    let service = place.start();
    gone(&renamed);
    assert_eq!(place.counts(&sandbox, "orders"), (60_000, 60_000));
    assert_eq!(service.stop(), 0);
}
