//! Metrics as text: for Prometheus, as JSON, and the few that a frontend calls its core.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value as Json, json};

/// What a family's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Counter,
    Gauge,
    Summary,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => write!(f, "{number:?}"),
        }
    }
}

/// The samples of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) name: String,
    ty: Type,
    unit: &'static str,
    help: &'static str,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    /// What stands behind the family's name: `_sum`, `_count`.
    end: &'static str,
    labels: Vec<(&'static str, String)>,
    number: Number,
}

impl Family {
    /// A family without samples.
    pub(super) fn new(name: &str, ty: Type, unit: &'static str, help: &'static str) -> Self {
        Self { name: name.to_owned(), ty, unit, help, samples: Vec::new() }
    }

    /// A family of one number.
    pub(super) fn one(name: &str, ty: Type, unit: &'static str, help: &'static str, number: impl Into<Number>) -> Self {
        let mut family = Self::new(name, ty, unit, help);
        family.sample("", &[], number);
        family
    }

    /// Adds a sample.
    pub(super) fn sample(&mut self, end: &'static str, labels: &[(&'static str, &str)], number: impl Into<Number>) {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.samples.push(Sample { end, labels, number: number.into() });
    }
}

/// The families as Prometheus reads them, with this in front of each name.
pub(super) fn prometheus(prefix: &str, families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let Family { name, ty, help, samples, .. } = family;
        let ty = ty.name();
        writeln!(out, "# HELP {prefix}{name} {help}\n# TYPE {prefix}{name} {ty}").expect("a text takes more");
        for Sample { end, labels, number } in samples {
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(", ")) };
            writeln!(out, "{prefix}{name}{end}{labels} {number}").expect("a text takes more");
        }
    }
    out
}

/// The families as a frontend writes them in JSON: single numbers, and no summaries.
pub(super) fn json(families: &[Family]) -> String {
    let mut out: Vec<Json> = Vec::new();
    for family in families.iter().filter(|family| family.ty != Type::Summary) {
        for sample in &family.samples {
            let mut tags = Map::new();
            tags.insert("metric".to_owned(), family.name.as_str().into());
            tags.extend(sample.labels.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
            let value = match sample.number {
                Number::Whole(number) => json!(number),
                Number::Real(number) => json!(number),
            };
            out.push(json!({"tags": tags, "unit": family.unit, "value": value}));
        }
    }
    Json::Array(out).to_string()
}

/// The few of a frontend's families that are its core: a name, a type and a number a line.
pub(super) fn core(prefix: &str, families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let Family { name, samples, .. } = family;
        match name.as_str() {
            "max_journal_id" | "connection_total" => {
                for sample in samples {
                    writeln!(out, "{prefix}{name} LONG {}", sample.number).expect("a text takes more");
                }
            }
            "query_latency_ms" => {
                for sample in samples {
                    let quantile = sample.labels.iter().find(|(name, _)| *name == "quantile");
                    let Some(end @ ("75" | "95" | "99")) = quantile.and_then(|(_, value)| value.strip_prefix("0."))
                    else {
                        continue;
                    };
                    let Number::Real(number) = sample.number else { continue };
                    writeln!(out, "{prefix}{name}_{end} LONG {number:.0}").expect("a text takes more");
                }
            }
            _ => {}
        }
    }
    out
}
