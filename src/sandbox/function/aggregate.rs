//! Aggregates that SQLite does not have: exact sums and averages, texts in groups, spread.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};

use super::convert::decimal_of;
use super::decimal::Decimal;
use super::{double_of, json, text_of};

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_aggregate_function("sr_decimal_sum", 1, flags, ExactSum)?;
    connection.create_aggregate_function("sr_decimal_avg", 1, flags, ExactAverage)?;
    connection.create_aggregate_function("sr_group_concat", 2, flags, GroupConcat)?;
    connection.create_aggregate_function("sr_array_agg", 1, flags, ArrayAgg)?;
    for (name, sample, root) in [
        ("sr_variance", false, false),
        ("sr_variance_samp", true, false),
        ("sr_stddev", false, true),
        ("sr_stddev_samp", true, true),
    ] {
        connection.create_aggregate_function(name, 1, flags, Spread { sample, root })?;
    }
    Ok(())
}

fn refused(what: &str) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(what.into())
}

/// The sum so far and how many values are in it.
struct Total {
    sum: Decimal,
    count: i128,
}

impl Total {
    const EMPTY: Self = Self { sum: Decimal::ZERO, count: 0 };

    fn add(&mut self, context: &Context<'_>) -> rusqlite::Result<()> {
        if context.get_raw(0) == ValueRef::Null {
            return Ok(());
        }
        let value = decimal_of(context.get_raw(0)).ok_or_else(|| refused("a sum of something that is no number"))?;
        self.sum = self.sum.add(value).ok_or_else(|| refused("the sum has more than 76 digits"))?;
        self.count += 1;
        Ok(())
    }
}

struct ExactSum;

impl Aggregate<Total, Value> for ExactSum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total::EMPTY)
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        total.add(context)
    }

    /// A sum that its type cannot hold is an error. StarRocks wraps around or says NULL, depending on its settings; a
    /// test that meets this wants to know.
    fn finalize(&self, _: &mut Context<'_>, total: Option<Total>) -> rusqlite::Result<Value> {
        match total.filter(|total| total.count > 0) {
            None => Ok(Value::Null),
            Some(total) if total.sum.fits_any() || total.sum.scale() == 0 && total.sum.to_i128().is_some() => {
                Ok(Value::Text(total.sum.to_string()))
            }
            Some(_) => Err(refused("the sum overflows its type")),
        }
    }
}

struct ExactAverage;

impl Aggregate<Total, Value> for ExactAverage {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Total> {
        Ok(Total::EMPTY)
    }

    fn step(&self, context: &mut Context<'_>, total: &mut Total) -> rusqlite::Result<()> {
        total.add(context)
    }

    fn finalize(&self, _: &mut Context<'_>, total: Option<Total>) -> rusqlite::Result<Value> {
        let Some(total) = total.filter(|total| total.count > 0) else { return Ok(Value::Null) };
        let average = total.sum.divide(Decimal::from(total.count), quotient_scale(total.sum.scale()));
        average.map(|average| Value::Text(average.to_string())).ok_or_else(|| refused("the average overflows its type"))
    }
}

/// The scale of a DECIMAL divided by another, from the scale of the dividend.
pub(in crate::sandbox) fn quotient_scale(scale: u32) -> u32 {
    match scale {
        0..=6 => scale + 6,
        7..=12 => 12,
        _ => scale,
    }
}

struct GroupConcat;

impl Aggregate<Option<String>, Value> for GroupConcat {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<String>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, all: &mut Option<String>) -> rusqlite::Result<()> {
        let (value, separator) = (context.get_raw(0), context.get_raw(1));
        if value == ValueRef::Null {
            return Ok(());
        }
        match all {
            Some(all) => {
                all.push_str(&text_of(separator));
                all.push_str(&text_of(value));
            }
            None => *all = Some(text_of(value)),
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<Option<String>>) -> rusqlite::Result<Value> {
        Ok(all.flatten().map_or(Value::Null, Value::Text))
    }
}

/// An ARRAY of JSON elements, NULLs among them.
struct ArrayAgg;

impl Aggregate<Vec<String>, Value> for ArrayAgg {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, all: &mut Vec<String>) -> rusqlite::Result<()> {
        all.push(json::element_text(context.get_raw(0)));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<Vec<String>>) -> rusqlite::Result<Value> {
        Ok(all.map_or(Value::Null, |all| Value::Text(format!("[{}]", all.join(",")))))
    }
}

/// Variance and standard deviation by Welford's method, which keeps its digits where a sum of squares loses them.
struct Spread {
    sample: bool,
    root: bool,
}

#[derive(Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Aggregate<Moments, Value> for Spread {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Moments> {
        Ok(Moments::default())
    }

    fn step(&self, context: &mut Context<'_>, moments: &mut Moments) -> rusqlite::Result<()> {
        if context.get_raw(0) != ValueRef::Null {
            let value = double_of(context.get_raw(0));
            let delta = value - moments.mean;
            moments.count += 1.0;
            moments.mean += delta / moments.count;
            moments.squares += delta * (value - moments.mean);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, moments: Option<Moments>) -> rusqlite::Result<Value> {
        let Some(moments) = moments.filter(|moments| moments.count > 0.0) else { return Ok(Value::Null) };
        let degrees = if self.sample { moments.count - 1.0 } else { moments.count };
        if degrees == 0.0 {
            return Ok(Value::Null);
        }
        let variance = moments.squares / degrees;
        Ok(Value::Real(if self.root { variance.sqrt() } else { variance }))
    }
}
