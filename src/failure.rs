//! What a failure means to the program ([`Disposition`]) and to people ([`Code`], [`Failure`]).
//!
//! Each part has an `Error` of its own. What they share is here: the retry policy looks at the disposition and nothing
//! else; the screen, the report and the docs show the code and the hint.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing was applied: send it again, after this long if the target said so.
    Retry {
        /// How long the target asks to be left alone.
        after: Option<Duration>,
    },
    /// It may have been applied: learn the label's state before anything else.
    Resolve,
    /// The rows are at fault.
    Reject,
    /// No attempt can help: credentials, a missing table, a setting.
    Abort,
}

macro_rules! codes {
    ($($name:ident $number:literal $title:literal,)*) => {
        /// The stable code of a failure. Every code has a page in `docs/errors`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as shown: `L1001`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $number),* }
            }

            /// The code that is shown as this, in letters of either case.
            #[must_use]
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
            }

            /// What it stands for, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// The page that explains it.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("../docs/errors/", $number, ".md"))),* }
            }
        }
    };
}

codes! {
    InputMissing "L1001" "no such input",
    InputUnreadable "L1002" "the input cannot be read",
    InputEmpty "L1003" "the input is empty",
    FormatUnknown "L1004" "the input's format is not known",
    InputTruncated "L1005" "the input ends too early",
    InputMalformed "L1006" "the input is damaged",
    SchemaUnclear "L1007" "no schema can be told from the input",
    ColumnsMismatch "L1008" "input and table columns do not match",
    RecordTooLong "L1009" "a record is longer than allowed",
    TargetUnreachable "L2001" "the target cannot be reached",
    AccessDenied "L2002" "the target denies access",
    NoSuchTable "L2003" "no such database or table",
    RejectLimit "L2004" "too many rows were rejected",
    RowsRefused "L2005" "the target refused rows",
    RedirectRefused "L2006" "a redirect leads where it must not",
    AnswerUnreadable "L2007" "the target's answer makes no sense",
    TargetBusy "L2008" "the target is too busy",
    InDoubt "L2009" "the outcome of a load is in doubt",
    RequestRefused "L2010" "the target refused the request",
    CountsDisagree "L2011" "the target counted other rows than were sent",
    TypeUnsupported "L2012" "a column's type cannot be loaded",
    QueryFailed "L2013" "the query failed",
    QuestionRefused "L2014" "a node refuses a question about the cluster",
    NodeDown "L2015" "a node of the cluster is not well",
    TooManyLoads "L2050" "the job has more loads than can be prepared at once",
    Contested "L2051" "the same job is under way in another way",
    AnotherFailed "L2052" "another job that it belongs together with failed",
    RejectsUnwritable "L3001" "the rejects cannot be written",
    JournalUnusable "L3002" "the journal cannot be used",
    Interrupted "L3003" "the job was interrupted",
    SandboxUnusable "L3004" "the sandbox cannot be used",
    MemoryTooSmall "L3005" "the memory limit is too small",
    JobUnknown "L3006" "no such job in the journal",
    NotResumable "L3007" "the job cannot be resumed or stopped from here",
    DeadlinePassed "L3008" "the job took longer than it may",
    ServiceUnusable "L3010" "the service cannot run",
    Stopping "L3011" "the service is stopping",
    StreamBrokeOff "L3020" "the stream broke off before its end",
    SpoolUnusable "L3021" "the spool cannot be used",
    SpoolDamaged "L3022" "the spool is damaged",
    Usage "L4001" "the command line is wrong",
    TargetInvalid "L4002" "the target's address is wrong",
    SettingUnknown "L4003" "no such Stream Load setting",
    JobFileWrong "L4010" "the job file is wrong",
    ConfigWrong "L4011" "the service's configuration is wrong",
    RequestWrong "L4020" "the request is wrong",
    NotAllowed "L4021" "the caller may not do that",
    PathOutside "L4022" "the path is not below the configured folders",
    TargetUnnamed "L4023" "no such target is configured",
    TooMuch "L4024" "a limit of the service is reached",
    NothingThere "L4025" "there is nothing at this path",
    KeyInUse "L4026" "the idempotency key stands for something else",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error that a person may get to see: every part's `Error` is one.
///
/// Its `Display` is one lower-case clause without a full stop, and without its source: the chain is printed once, at
/// the top.
pub trait Failure: Error + Send + Sync + 'static {
    /// Its stable code.
    fn code(&self) -> Code;

    /// What to do next, where there is something to say.
    fn hint(&self) -> Option<String>;
}

/// An error and everything below it on one line, for logs and reports.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(&error.to_string());
        below = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_that_starts_with_its_name() {
        for code in Code::ALL {
            let head = format!("# {code}: {}\n", code.title());
            assert!(code.page().starts_with(&head), "docs/errors/{code}.md must start with `{}`", head.trim_end());
        }
    }
}
