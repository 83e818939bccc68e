//! Log lines of a service: what happened, and to which job, load and label, as words for people or one JSON object per line.
//!
//! Spans carry the names: a line within the span of a job has that job's name, wherever in the program it was written.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock as _, SystemClock, rfc3339};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Writes log lines.
pub(super) struct Lines {
    pub(super) form: Form,
    pub(super) write: fn(&str),
}

/// What of a span stands on each line within it. Whatever else it has is for traces.
const NAMES: [&str; 3] = ["id", "job", "label"];

/// What a span or an event says.
#[derive(Clone, Debug, Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut names = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(Fields(fields)) = span.extensions().get::<Fields>() {
                let told = fields.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
                names.0.extend(told.map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        event.record(&mut names);
        let message = names.0.remove("message").unwrap_or_default();
        let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
        let (level, target) = (event.metadata().level().as_str(), event.metadata().target());
        let now = rfc3339(SystemClock.now());
        (self.write)(&match self.form {
            Form::Text => text(&now, level, &message, &names.0),
            Form::Json => json(&now, level, target, &message, names.0),
        });
    }
}

fn text(now: &str, level: &str, message: &str, fields: &Map<String, Value>) -> String {
    // A line break in a message would look like a line of its own.
    let mut line = format!("{now} {level:<5} {}", message.replace('\n', " "));
    for (name, value) in fields {
        let value = value.as_str().map_or_else(|| value.to_string(), |text| text.replace('\n', " "));
        // Writing to a string cannot fail.
        let _ = write!(line, " {name}={value}");
    }
    line
}

fn json(now: &str, level: &str, target: &str, message: &str, fields: Map<String, Value>) -> String {
    let mut object = Map::new();
    object.insert("time".into(), now.into());
    object.insert("level".into(), level.to_lowercase().into());
    object.insert("message".into(), message.into());
    object.insert("target".into(), target.into());
    for (name, value) in fields {
        // What every line has keeps its meaning.
        object.entry(name).or_insert(value);
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn seen(form: Form) -> String {
        let lines = Lines { form, write: |line| SEEN.lock().unwrap().push(line.to_owned()) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let job = tracing::info_span!("job", job = "nightly", label = tracing::field::Empty);
            let _in_job = job.enter();
            job.record("label", "nightly-1");
            tracing::warn!(attempt = 2, "no answer\nfrom {}", "be1:8040");
        });
        SEEN.lock().unwrap().pop().unwrap()
    }

    #[test]
    fn a_line_names_job_and_label_of_the_spans_it_is_in() {
        let line = seen(Form::Text);
        assert!(line.ends_with("WARN  no answer from be1:8040 job=nightly label=nightly-1 attempt=2"), "{line}");
        let line: Value = serde_json::from_str(&seen(Form::Json)).unwrap();
        assert_eq!(line["message"], "no answer\nfrom be1:8040");
        assert_eq!((&line["job"], &line["attempt"], &line["level"]), (&"nightly".into(), &2.into(), &"warn".into()));
    }
}
