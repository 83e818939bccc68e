//! [`ServiceConfig`]: everything that the service may be told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::option::{Section, section, words};
use crate::model::{ByteCount, Secret};

section! {
    /// Where the service listens, and what it puts up with.
    "server" Server {
        /// The address to listen on. Other than on loopback, callers have to show a token or a certificate, and the
        /// service does not start where neither is configured.
        listen: SocketAddr = "127.0.0.1:8070", fixed;
        /// A PEM file with the service's certificate and those above it; with it, TLS is spoken. Needs `tls_key`.
        tls_certificate: Option<PathBuf> = "", fixed;
        /// A PEM file with the private key of that certificate.
        tls_key: Option<PathBuf> = "", fixed;
        /// A PEM file with the authorities whose certificates callers must show (mutual TLS).
        tls_client_ca: Option<PathBuf> = "", fixed;
        /// Names that callers may use for this host, where they need no token: any other name in a request's `Host` is
        /// refused there, so that no web page can reach the service through a browser. `localhost` and addresses always may.
        hosts: Vec<String> = "[]", reloads;
        /// Connections at one time. Beyond that, the one that has been idle for longest makes room for a new one.
        connections_max: u32 = "512", reloads;
        /// Bytes of a request's head, at most.
        head_bytes_max: ByteCount = "32KiB", reloads;
        /// Header fields of a request, at most.
        headers_max: u32 = "64", reloads;
        /// Bytes of a request's body, at most; an upload's body has no limit.
        body_bytes_max: ByteCount = "1MiB", reloads;
        /// How long a caller may take for the head of a request, and a connection may be idle.
        head_timeout: Duration = "10s", reloads;
        /// How long a caller may take for the body of a request that is no upload.
        body_timeout: Duration = "30s", reloads;
        /// How long a caller may stop sending an upload, or taking an answer, before it is cut off.
        stall_timeout: Duration = "60s", reloads;
    }
}

section! {
    /// What is logged on standard error.
    "log" Log {
        /// error, warn, info, debug, trace, or directives such as `info,shipload=debug`. `POST /debug/log_level` changes it
        /// until the next start or SIGHUP.
        level: String = "info", reloads;
        /// text for people, json for machines: one object per line.
        format: LogFormat = "text", fixed;
    }
}

words! {
    /// How log lines look.
    LogFormat, "text or json" {
        /// For people.
        Text "text",
        /// One JSON object per line.
        Json "json",
    }
}

section! {
    /// Spans of jobs, loads and attempts, for OpenTelemetry. Only in builds with the feature `otlp`.
    "traces" Traces {
        /// The collector that they are sent to by OTLP over HTTP, in protobuf: `http://127.0.0.1:4318`. None are when left out.
        endpoint: String = "", fixed;
    }
}

section! {
    /// Jobs, and the memory that all of them share.
    "jobs" Jobs {
        /// The folder of journal, spool and rejects. When left out: systemd's state directory, else that of `shipload import`.
        state_dir: Option<PathBuf> = "", fixed;
        /// The folder of rejected rows; `rejects` in `state_dir` when left out.
        rejects_dir: Option<PathBuf> = "", fixed;
        /// The most memory to use, in bytes, for everything together. 64 MiB of it are the program's own.
        memory: ByteCount = "1GiB", reloads;
        /// What one job takes of it unless its request says otherwise (`memory`): `batch_memory`, and the loads that are
        /// filled and sent, of which three have to fit.
        job_memory: ByteCount = "256MiB", reloads;
        /// What reading and encoding take of a job's memory: pieces of an input, three fifths of it but 24 MiB at most, and
        /// what is made of them. With less, more jobs run side by side.
        batch_memory: ByteCount = "40MiB", reloads;
        /// Bytes of text per load unless the request says otherwise. Part of what a job is: another size cuts other loads.
        load_size: ByteCount = "32MiB", reloads;
        /// Jobs at work at one time, uploads included.
        running_max: u32 = "16", reloads;
        /// Jobs that wait for their turn; more are refused with 429.
        waiting_max: u32 = "1000", reloads;
        /// For how long a job is tried again whose target is away, too busy, or does not say what became of a load, since it last
        /// got on. Pauses grow from 5 s to 5 min. 0 tries once.
        retry_for: Duration = "24h", reloads;
        /// Jobs that have ended and are still listed. Their journal entries stay.
        remembered_max: u32 = "1000", reloads;
        /// How long jobs may take to come to a clean end when the service stops; then they are cut off. Either way, the next
        /// start goes on with them.
        drain_timeout: Duration = "60s", reloads;
        /// Whether requests may name any target (`to`), and not only configured ones.
        any_target: bool = "false", reloads;
    }
}

section! {
    /// Uploads: `PUT /v1/load/{db}/{table}`.
    "uploads" Uploads {
        /// Uploads at one time; more are answered with 503.
        running_max: u32 = "8", reloads;
        /// How long an upload waits for its share of the memory before it is answered with 503.
        wait_max: Duration = "30s", reloads;
    }
}

section! {
    /// Files that jobs may read.
    "files" Files {
        /// Folders below which files may be read, symbolic links resolved. Without one, no job may read files.
        roots: Vec<PathBuf> = "[]", reloads;
    }
}

section! {
    /// Files that are loaded when they come, `[watch.NAME]`: each content once, also when it is renamed or copied.
    "watch" Watch {
        /// Which files, as an absolute pattern below one of files.roots: `/srv/in/orders/*.csv`. `**` stands for any folders;
        /// names that begin with a dot, and symbolic links, are passed over.
        glob: String = "", reloads;
        /// The target they are loaded into; the only one where there is one.
        target: String = "", reloads;
        /// The database.
        database: String = "", reloads;
        /// The table.
        table: String = "", reloads;
        /// Settings of an import, `create_table=true`, `max_rejects=1%`: the flags of `shipload import`, with _ for -.
        settings: Vec<String> = "[]", reloads;
        /// How often the folder is looked at.
        interval: Duration = "5s", reloads;
        /// How long a file must have been as it is before it is taken.
        settle: Duration = "10s", reloads;
        /// What stands behind the name of a second, empty file that says that the first one is whole, as `.done`. With it, a file
        /// is taken when that lies beside it, and not before; settle means nothing then.
        marker: String = "", reloads;
        /// What becomes of a file that is loaded: keep, move or delete.
        loaded: Disposal = "keep", reloads;
        /// Where loaded files are moved to.
        loaded_dir: Option<PathBuf> = "", reloads;
        /// Where files are moved to that could not be loaded, each with the reason in a file beside it; they stay where they
        /// are when left out.
        failed_dir: Option<PathBuf> = "", reloads;
    }
}

words! {
    /// What becomes of a file that is loaded.
    Disposal, "keep, move or delete" {
        /// It stays where it is.
        Keep "keep",
        /// It goes to another folder.
        Move "move",
        /// It is removed.
        Delete "delete",
    }
}

section! {
    /// A cluster by a name, `[targets.NAME]`: requests name it, and never see its password.
    "targets" TargetOptions {
        /// `starrocks://user@fe1:8030,fe2:8030` (starrocks+https:// for TLS), or `sandbox:`.
        address: String = "", reloads;
        /// The user's password. Better in a file or a credential.
        password: Option<Secret<String>> = "", reloads;
        /// A file whose first line is the password.
        password_file: Option<PathBuf> = "", reloads;
        /// The name of a systemd credential with the password (`LoadCredential=`).
        credential: String = "", reloads;
        /// Databases that requests may load into; any when left out.
        databases: Vec<String> = "[]", reloads;
        /// Jobs into it at one time.
        running_max: u32 = "8", reloads;
        /// Reach a node elsewhere than where it says it is: `be1=10.0.0.5:18040`.
        map_host: Vec<String> = "[]", reloads;
        /// Hosts besides the cluster's own that may be sent credentials.
        allow_redirect: Vec<String> = "[]", reloads;
        /// The frontends' MySQL port, over which tables are made.
        mysql_port: u16 = "9030", reloads;
        /// A PEM file with certificates to trust besides the system's.
        ca_file: Option<PathBuf> = "", reloads;
        /// The folder of the sandbox, for `sandbox:`.
        sandbox_dir: PathBuf = "shipload-sandbox", reloads;
    }
}

section! {
    /// A token by a name, `[tokens.NAME]`: callers show it as `Authorization: Bearer TOKEN`.
    "tokens" Token {
        /// The token's SHA-256 in hex: `printf %s TOKEN | sha256sum`. Make tokens long and random: `openssl rand -hex 32`.
        sha256: String = "", reloads;
        /// read: GET alone; load: jobs and uploads as well; admin: everything.
        access: Access = "read", reloads;
    }
}

words! {
    /// What a caller may do; each may do what those before it may.
    Access, "read, load or admin" {
        /// Look.
        Read "read",
        /// Begin, cancel and resume jobs, and upload.
        Load "load",
        /// Everything.
        Admin "admin",
    }
}

/// The service's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// `[server]`
    pub server: Server,
    /// `[log]`
    pub log: Log,
    /// `[traces]`
    pub traces: Traces,
    /// `[jobs]`
    pub jobs: Jobs,
    /// `[uploads]`
    pub uploads: Uploads,
    /// `[files]`
    pub files: Files,
    /// `[watch.NAME]`
    pub watch: BTreeMap<String, Watch>,
    /// `[targets.NAME]`
    pub targets: BTreeMap<String, TargetOptions>,
    /// `[tokens.NAME]`
    pub tokens: BTreeMap<String, Token>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            server: Server::defaults(),
            log: Log::defaults(),
            traces: Traces::defaults(),
            jobs: Jobs::defaults(),
            uploads: Uploads::defaults(),
            files: Files::defaults(),
            watch: BTreeMap::new(),
            targets: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }
}
