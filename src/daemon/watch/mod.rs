//! Watched folders: files are loaded when they come, each content once.
//!
//! ```text
//!  look ─▶ settle: is it whole? ─▶ digest ─▶ journal: loaded already? ─▶ jobs: a request ─▶ place: keep, move, delete
//!                                                  └── yes ──────────────────────────────────▲   or failed, with its reason
//! ```
//!
//! A file is its content: the job is named by that and by the table, so that the journal knows it under any other name and after
//! any restart, and the loader itself looks once more whether the content is the one that is meant. The request is an
//! ordinary one, listed and cancelled like any other.
//!
//! Folders are looked at by polling, everywhere: it works on network file systems, where nobody tells of changes. Where the
//! system does tell, the [`Bell`] has them looked at early. Each folder has a loop of its own, so that one that hangs holds up no
//! other.

mod bell;
mod place;
mod settle;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, JoinSet, block_in_place};

use super::api::problem::Problem;
use super::auth::hex;
use super::jobs::again::may_pass;
use super::jobs::ask::Ask;
use super::jobs::entry::{Entry, Outcome, State};
use super::service::Service;
use crate::clock::{Clock as _, SystemClock};
use crate::config::service::{Disposal, Watch};
use crate::failure::{Code, chain};
use crate::model::JobId;
use crate::telemetry::metric;
use bell::Bell;
use settle::{Known, Mark, Whole};

/// How long to wait before a file is tried again whose target was not there.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// The shortest time between two looks: many files that come together are one reason to look.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Hex digits of a content that go into the name of its job: 128 bits, so that no two contents meet.
const DIGITS: usize = 32;

/// Folders of one pattern in which the system is asked to tell of files, at most; it has some thousands for all programs.
const FOLDERS_MAX: usize = 1000;

/// The longest part of a table's name in it.
const TABLE_BYTES_MAX: usize = 40;

/// Watches every folder that the configuration names, as it changes.
pub(super) async fn run(service: Arc<Service>) {
    let mut config = service.configs();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    loop {
        let wanted = config.borrow_and_update().watch.clone();
        running.retain(|name, one| wanted.get(name) == Some(&one.watch));
        for (name, watch) in wanted {
            running.entry(name.clone()).or_insert_with(|| {
                let (service, bell) = (Arc::clone(&service), Bell::new());
                let folder = Arc::new(Folder { service, name, watch: watch.clone(), bell });
                Running { watch, task: tokio::spawn(folder.run()) }
            });
        }
        if config.changed().await.is_err() {
            return;
        }
    }
}

/// A loop that ends with its owner.
struct Running {
    watch: Watch,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One watched folder.
struct Folder {
    service: Arc<Service>,
    name: String,
    watch: Watch,
    bell: Bell,
}

/// A file that is whole.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    mark: Mark,
}

/// What comes of a file.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Every row is in the table or among the rejects.
    Loaded,
    /// It has to be looked at by somebody.
    Failed(String),
    /// The target was not there; nothing is wrong with the file.
    Later,
    /// Somebody has stopped it.
    Left,
}

impl Folder {
    async fn run(self: Arc<Self>) {
        let mut known = Known::default();
        let mut followers = JoinSet::new();
        let mut troubled = false;
        loop {
            match self.look().await {
                Ok(seen) => {
                    troubled = false;
                    for file in known.look(seen, self.rule(), SystemClock.instant()) {
                        if !self.take(&file, &mut followers).await {
                            known.release(&file.path, SystemClock.instant());
                        }
                    }
                }
                Err(error) if !troubled => {
                    troubled = true;
                    tracing::warn!(watch = self.name, "the folder cannot be looked at: {error}");
                }
                Err(_) => {}
            }
            while followers.try_join_next().is_some() {}
            self.rest(&known).await;
        }
    }

    /// Waits until it is time to look again: the interval, or less where a file has settled by then, or something has come.
    async fn rest(&self, known: &Known) {
        let shortest = LOOK_PAUSE_MIN.min(self.watch.interval);
        tokio::time::sleep(shortest).await;
        let settled = known.next_whole(self.rule(), SystemClock.instant()).unwrap_or(self.watch.interval);
        tokio::select! {
            () = self.bell.rung() => {}
            () = tokio::time::sleep(settled.min(self.watch.interval.saturating_sub(shortest))) => {}
        }
    }

    fn rule(&self) -> Whole {
        if self.watch.marker.is_empty() { Whole::Settled(self.watch.settle) } else { Whole::Marked }
    }

    /// What lies there now. On a thread of its own: a network file system may not answer.
    async fn look(self: &Arc<Self>) -> Result<Vec<settle::Seen>, String> {
        let folder = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            // Before it is looked, so that nothing comes in between.
            folder.bell.listen(&bell::folders(&folder.watch.glob, FOLDERS_MAX));
            place::list(&folder.watch)
        });
        let looked = looked.await;
        looked.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Has a file loaded. Returns whether somebody takes care of it now.
    async fn take(self: &Arc<Self>, file: &File, followers: &mut JoinSet<()>) -> bool {
        match self.begin(file).await {
            Ok(Some(entry)) => {
                let (folder, file) = (Arc::clone(self), file.clone());
                followers.spawn(async move { folder.follow(&file, entry).await });
                true
            }
            Ok(None) => true,
            Err(problem) => {
                // The file is well, or else the request would have been taken: what it says may pass.
                let path = file.path.display().to_string();
                tracing::warn!(watch = self.name, file = path, code = %problem.code(), "not taken yet: {}", problem.detail());
                false
            }
        }
    }

    /// Finds out what a file is, and asks for it to be loaded; none where it is loaded already and put away.
    async fn begin(&self, file: &File) -> Result<Option<Arc<Entry>>, Problem> {
        let jobs = &self.service.jobs;
        jobs.is_open()?;
        let content = self.digest(file).await?;
        let job = self.job(&content);
        let known = block_in_place(|| jobs.journal.job(&job)).map_err(|error| Problem::of(&error))?;
        if known.is_some_and(|known| known.finished) {
            tracing::info!(watch = self.name, file = %file.path.display(), %job, "this content is loaded already");
            self.settle(file, &Fate::Loaded, "already_loaded");
            return Ok(None);
        }
        // Another name, or the same file once more written to, is another request for the same job.
        let key = format!("{job}-{}", &hex(&Sha256::digest(format!("{file:?}")))[..8]);
        if let Ok(entry) = jobs.find(&super::jobs::key_id(&key)) {
            return Ok(Some(entry));
        }
        let path = file.path.to_str().ok_or_else(|| Problem::new(Code::RequestWrong, "its path is no text"))?;
        let config = jobs.config();
        let ask = block_in_place(|| Ask::of_watched(&config, &self.watch, path, &content, &job))?;
        let (entry, _) = jobs.submit(ask, Some(&key))?;
        tracing::info!(watch = self.name, file = path, id = entry.id, "taken");
        Ok(Some(entry))
    }

    async fn digest(&self, file: &File) -> Result<String, Problem> {
        let File { path, mark } = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let digest = crate::loader::digest_of(&path)?;
            let still = Mark::of(&path).is_some_and(|now| now == mark);
            if still { Ok(hex(&digest)) } else { Err(std::io::Error::other("it is being written to")) }
        });
        let digest = read.await.map_err(std::io::Error::other).and_then(|digest| digest);
        digest.map_err(|error| Problem::new(Code::InputUnreadable, format!("it cannot be read: {error}")))
    }

    /// The name of the job that a content is in this table: the same from whichever folder and under whichever name it comes.
    fn job(&self, content: &str) -> JobId {
        let Watch { database, table, .. } = &self.watch;
        let config = self.service.config();
        let only = config.targets.keys().next().filter(|_| self.watch.target.is_empty());
        let target = only.unwrap_or(&self.watch.target);
        let digest = hex(&Sha256::digest(format!("{content}\n{target}\n{database}\n{table}")));
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        let table: String = table.chars().map(letter).take(TABLE_BYTES_MAX).collect();
        format!("{table}-{}", &digest[..DIGITS]).parse().expect("its letters are the allowed ones")
    }

    /// Waits for the end of a request, also of one that somebody resumes, and puts the file away.
    async fn follow(&self, file: &File, entry: Arc<Entry>) {
        let mut entry = entry;
        loop {
            entry.over().await;
            if self.service.is_draining() {
                // The next service goes on with it.
                return;
            }
            let outcome = entry.outcome().expect("it is over");
            let fate = fate(&outcome, &entry);
            if fate == Fate::Later {
                tokio::time::sleep(RETRY_PAUSE).await;
                match self.service.jobs.resume(&entry) {
                    Ok(again) => entry = again,
                    // Somebody else has resumed or cancelled it; what there is now is looked at.
                    Err(_) => match self.service.jobs.find(&entry.id) {
                        Ok(now) => entry = now,
                        Err(_) => return,
                    },
                }
                continue;
            }
            if self.settle(file, &fate, outcome.state.word()) {
                return;
            }
            let Some(again) = self.resumed(file, &entry).await else { return };
            entry = again;
        }
    }

    /// Waits until somebody resumes a request whose file still lies where it was.
    async fn resumed(&self, file: &File, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        loop {
            tokio::time::sleep(self.watch.interval).await;
            let path = file.path.clone();
            let now = tokio::task::spawn_blocking(move || Mark::of(&path)).await.ok().flatten();
            if now != Some(file.mark) {
                return None;
            }
            let found = self.service.jobs.find(&entry.id).ok()?;
            if !Arc::ptr_eq(&found, entry) {
                return Some(found);
            }
        }
    }

    /// Puts a file away as its fate wants it. Returns whether there is nothing left to do about it.
    fn settle(&self, file: &File, fate: &Fate, outcome: &'static str) -> bool {
        self.service.metrics.add(&metric::WATCHED, &[&self.name, outcome], 1.0);
        let watch = &self.watch;
        let put = block_in_place(|| match fate {
            Fate::Loaded => match (watch.loaded, &watch.loaded_dir) {
                (Disposal::Delete, _) => place::delete(file, &watch.marker).map(|()| true),
                (Disposal::Move, Some(folder)) => place::put(file, &watch.marker, folder).map(|_| true),
                (Disposal::Keep | Disposal::Move, _) => Ok(true),
            },
            Fate::Failed(reason) => match &watch.failed_dir {
                Some(folder) => place::put_with_reason(file, &watch.marker, folder, reason).map(|()| true),
                None => Ok(false),
            },
            Fate::Later | Fate::Left => Ok(false),
        });
        put.unwrap_or_else(|error| {
            let path = file.path.display();
            tracing::error!(watch = self.name, file = %path, "it stays where it is: {}", chain(&error));
            true
        })
    }
}

fn fate(outcome: &Outcome, entry: &Entry) -> Fate {
    let error = outcome.error();
    match outcome.state {
        state if state.is_done() => Fate::Loaded,
        State::Failed if may_pass(outcome) => Fate::Later,
        State::Interrupted | State::Cancelled => Fate::Left,
        state => {
            let mut text = match error {
                Some(error) => format!("error[{}]: {}\n", error.code, error.message),
                None => format!("it ended as {}\n", state.word()),
            };
            // Writing to a string cannot fail.
            let _ = error.and_then(|error| error.hint.as_ref()).map(|hint| writeln!(text, "hint: {hint}"));
            let _ = writeln!(text, "job: {}\nrequest: {}", entry.job().unwrap_or_default(), entry.id);
            let rejects = outcome.report.as_ref().and_then(|report| report.rejects.as_ref());
            let _ = rejects.map(|folder| writeln!(text, "rejected rows: {folder}"));
            Fate::Failed(text)
        }
    }
}
