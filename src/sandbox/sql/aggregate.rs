//! Aggregates and window functions.

use sqlparser::ast::{FunctionArgExpr, FunctionArgumentClause, OrderByExpr, WindowType};

use super::Error;
use super::call::no_function;
use super::coerce::{DIGITS_MAX, cast, collation, digits, truth};
use super::expression::Binder;
use super::scope::Bound;
use crate::sandbox::function::quotient_scale;
use crate::sandbox::types::SqlType;

/// What separates the texts of `group_concat` unless it is told otherwise.
const SEPARATOR: &str = "', '";

/// A call as written.
pub(super) struct Call<'a> {
    pub name: &'a str,
    pub arguments: &'a [FunctionArgExpr],
    pub distinct: bool,
    pub clauses: &'a [FunctionArgumentClause],
    pub over: Option<&'a WindowType>,
}

impl Binder<'_> {
    /// Binds the call if it is one of an aggregate or window function.
    pub(super) fn aggregate(&self, call: &Call<'_>) -> Result<Option<Bound>, Error> {
        if !is_aggregate(call.name) {
            return Ok(None);
        }
        if is_window_only(call.name) && call.over.is_none() {
            return Err(Error::analysis(format!("{} needs an OVER clause", call.name)));
        }
        let arguments: Vec<Bound> = if call.over.is_some() {
            Self::each_argument(call, |expression| self.bind(expression))?
        } else {
            self.aggregated.set(true);
            Self::each_argument(call, |expression| self.bind_in_aggregate(expression))?
        };
        let bound = self.aggregate_of(call, &arguments)?;
        match call.over {
            None => Ok(Some(bound)),
            Some(window) => {
                let window = self.window(window)?;
                Ok(Some(Bound::new(format!("{} OVER ({window})", bound.sql), bound.ty)))
            }
        }
    }

    fn each_argument(
        call: &Call<'_>,
        bind: impl Fn(&sqlparser::ast::Expr) -> Result<Bound, Error>,
    ) -> Result<Vec<Bound>, Error> {
        let mut all = Vec::new();
        for argument in call.arguments {
            match argument {
                FunctionArgExpr::Expr(expression) => all.push(bind(expression)?),
                FunctionArgExpr::Wildcard if call.name == "count" && call.arguments.len() == 1 => {}
                _ => return Err(Error::analysis(format!("{} does not take *", call.name))),
            }
        }
        Ok(all)
    }

    fn aggregate_of(&self, call: &Call<'_>, arguments: &[Bound]) -> Result<Bound, Error> {
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        if call.name == "group_concat" || call.name == "string_agg" {
            return self.group_concat(call, arguments);
        }
        if !call.clauses.is_empty() {
            return Err(Error::unsupported(format!("{} with a clause among its arguments", call.name)));
        }
        Ok(match (call.name, arguments) {
            ("count", []) => Bound::new("COUNT(*)", SqlType::BigInt),
            ("count", [value]) => {
                let collation = if call.distinct { collation(&value.ty) } else { "" };
                Bound::new(format!("COUNT({distinct}{}{collation})", value.sql), SqlType::BigInt)
            }
            ("count", several) => Bound::new(format!("COUNT({distinct}{})", tuple(several)), SqlType::BigInt),
            ("count_if", [condition]) => {
                let condition = truth(condition.clone())?;
                Bound::new(format!("COUNT(CASE WHEN {condition} THEN 1 END)"), SqlType::BigInt)
            }
            ("multi_distinct_count" | "approx_count_distinct" | "ndv", [value]) => {
                Bound::new(format!("COUNT(DISTINCT {}{})", value.sql, collation(&value.ty)), SqlType::BigInt)
            }
            ("sum" | "multi_distinct_sum", [value]) => {
                sum(value, if call.name == "sum" { distinct } else { "DISTINCT " })?
            }
            ("avg", [value]) => average(value, distinct)?,
            ("min" | "max" | "any_value", [value]) => {
                let name = if call.name == "max" { "MAX" } else { "MIN" };
                Bound::new(format!("{name}({}{})", value.sql, collation(&value.ty)), value.ty.clone())
            }
            ("array_agg", [value]) if !value.ty.is_numeric_text() && !value.ty.is_nested() => {
                Bound::new(format!("sr_array_agg({distinct}{})", value.sql), SqlType::Array(Box::new(value.ty.clone())))
            }
            ("variance" | "var_pop" | "variance_pop", [value]) => spread("sr_variance", value)?,
            ("var_samp" | "variance_samp", [value]) => spread("sr_variance_samp", value)?,
            ("stddev" | "std" | "stddev_pop", [value]) => spread("sr_stddev", value)?,
            ("stddev_samp", [value]) => spread("sr_stddev_samp", value)?,
            ("row_number" | "rank" | "dense_rank", []) => Bound::new(format!("{}()", call.name), SqlType::BigInt),
            ("ntile", [count]) => Bound::new(format!("ntile({})", count.sql), SqlType::BigInt),
            ("percent_rank" | "cume_dist", []) => Bound::new(format!("{}()", call.name), SqlType::Double),
            ("first_value" | "last_value", [value]) => {
                Bound::new(format!("{}({})", call.name, value.sql), value.ty.clone())
            }
            ("lag" | "lead", [value, rest @ ..]) if rest.len() <= 2 => {
                let mut all = vec![value.sql.clone()];
                all.extend(rest.first().map(|offset| offset.sql.clone()));
                all.extend(
                    rest.get(1).map(|default| cast(default.clone(), &value.ty)).transpose()?.map(|bound| bound.sql),
                );
                Bound::new(format!("{}({})", call.name, all.join(", ")), value.ty.clone())
            }
            (name, arguments) => return Err(no_function(name, arguments)),
        })
    }

    fn group_concat(&self, call: &Call<'_>, arguments: &[Bound]) -> Result<Bound, Error> {
        let mut separator = arguments.get(1).map_or(SEPARATOR.to_owned(), |separator| separator.sql.clone());
        let mut order = String::new();
        for clause in call.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => {
                    order = format!(" ORDER BY {}", self.order(keys, Binder::bind_in_aggregate)?);
                }
                FunctionArgumentClause::Separator(text) => {
                    separator =
                        crate::sandbox::types::literal(&text.to_string().trim_matches(['\'', '"']).replace("''", "'"));
                }
                other => return Err(Error::unsupported(format!("group_concat with {other}"))),
            }
        }
        let Some(value) = arguments.first().filter(|_| arguments.len() <= 2) else {
            return Err(no_function(call.name, arguments));
        };
        if call.distinct {
            return Err(Error::unsupported("group_concat of DISTINCT values"));
        }
        let value = cast(value.clone(), &SqlType::TEXT)?;
        Ok(Bound::new(format!("sr_group_concat({}, {separator}{order})", value.sql), SqlType::TEXT))
    }

    fn window(&self, window: &WindowType) -> Result<String, Error> {
        let WindowType::WindowSpec(window) = window else {
            return Err(Error::unsupported("a named window"));
        };
        let mut parts = Vec::new();
        if !window.partition_by.is_empty() {
            let keys: Vec<String> = window
                .partition_by
                .iter()
                .map(|key| self.bind(key).map(|key| format!("{}{}", key.sql, collation(&key.ty))))
                .collect::<Result<_, _>>()?;
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !window.order_by.is_empty() {
            parts.push(format!("ORDER BY {}", self.order(&window.order_by, Binder::bind)?));
        }
        // The grammar of frames is the same in SQLite; only constants are allowed as bounds in either.
        parts.extend(window.window_frame.as_ref().map(|frame| {
            let end = frame.end_bound.as_ref().map_or(String::new(), |end| format!(" AND {end}"));
            let between = if end.is_empty() { "" } else { "BETWEEN " };
            format!("{} {between}{}{end}", frame.units, frame.start_bound)
        }));
        Ok(parts.join(" "))
    }

    /// The keys of an ORDER BY.
    pub(super) fn order(
        &self,
        keys: &[OrderByExpr],
        bind: impl Fn(&Self, &sqlparser::ast::Expr) -> Result<Bound, Error>,
    ) -> Result<String, Error> {
        let keys: Vec<String> = keys
            .iter()
            .map(|key| Ok(format!("{}{}", sortable(&bind(self, &key.expr)?)?, direction(key)?)))
            .collect::<Result<_, Error>>()?;
        Ok(keys.join(", "))
    }
}

/// An expression as a key of ORDER BY. A constant would be taken for the number of a column.
pub(super) fn sortable(bound: &Bound) -> Result<String, Error> {
    if matches!(bound.ty, SqlType::Json | SqlType::Map(..) | SqlType::Struct(_)) {
        return Err(Error::analysis(format!("Type {} does not support ORDER BY", bound.ty)));
    }
    let constant = bound.sql.bytes().all(|byte| byte.is_ascii_digit());
    let sql = if constant { format!("+{}", bound.sql) } else { bound.sql.clone() };
    Ok(format!("{sql}{}", collation(&bound.ty)))
}

/// ASC or DESC, and where NULLs go. Unless told, both systems put them first in ascending order and last in descending.
pub(super) fn direction(key: &OrderByExpr) -> Result<String, Error> {
    let descending = match &key.options.sort {
        None | Some(sqlparser::ast::OrderBySort::Asc) => "",
        Some(sqlparser::ast::OrderBySort::Desc) => " DESC",
        Some(_) => return Err(Error::unsupported("ORDER BY … USING")),
    };
    let nulls = match key.options.nulls_first {
        Some(true) => " NULLS FIRST",
        Some(false) => " NULLS LAST",
        None => "",
    };
    Ok(format!("{descending}{nulls}"))
}

fn is_aggregate(name: &str) -> bool {
    is_window_only(name)
        || matches!(
            name,
            "count"
                | "count_if"
                | "multi_distinct_count"
                | "approx_count_distinct"
                | "ndv"
                | "sum"
                | "multi_distinct_sum"
                | "avg"
                | "min"
                | "max"
                | "any_value"
                | "group_concat"
                | "string_agg"
                | "array_agg"
                | "variance"
                | "var_pop"
                | "variance_pop"
                | "var_samp"
                | "variance_samp"
                | "stddev"
                | "std"
                | "stddev_pop"
                | "stddev_samp"
        )
}

fn is_window_only(name: &str) -> bool {
    matches!(
        name,
        "row_number"
            | "rank"
            | "dense_rank"
            | "ntile"
            | "percent_rank"
            | "cume_dist"
            | "first_value"
            | "last_value"
            | "lag"
            | "lead"
    )
}

fn sum(value: &Bound, distinct: &str) -> Result<Bound, Error> {
    Ok(match &value.ty {
        ty if ty.is_small_integer() || value.is_null() => {
            Bound::new(format!("SUM({distinct}{})", value.sql), SqlType::BigInt)
        }
        SqlType::LargeInt => Bound::new(format!("sr_decimal_sum({distinct}{})", value.sql), SqlType::LargeInt),
        SqlType::Decimal { scale, .. } => {
            let ty = SqlType::Decimal { precision: DIGITS_MAX, scale: *scale };
            Bound::new(format!("sr_decimal_sum({distinct}{})", value.sql), ty)
        }
        ty if ty.is_float() || ty.is_text() => {
            let value = cast(value.clone(), &SqlType::Double)?;
            Bound::new(format!("SUM({distinct}{})", value.sql), SqlType::Double)
        }
        _ => return Err(no_function("sum", std::slice::from_ref(value))),
    })
}

fn average(value: &Bound, distinct: &str) -> Result<Bound, Error> {
    Ok(match &value.ty {
        SqlType::Decimal { .. } => {
            let scale = u8::try_from(quotient_scale(digits(&value.ty).1.into())).unwrap_or(DIGITS_MAX);
            let ty = SqlType::Decimal { precision: DIGITS_MAX, scale };
            Bound::new(format!("sr_decimal_avg({distinct}{})", value.sql), ty)
        }
        ty if ty.is_number() || ty.is_text() || value.is_null() => {
            let value = cast(value.clone(), &SqlType::Double)?;
            Bound::new(format!("AVG({distinct}{})", value.sql), SqlType::Double)
        }
        _ => return Err(no_function("avg", std::slice::from_ref(value))),
    })
}

fn spread(name: &str, value: &Bound) -> Result<Bound, Error> {
    Ok(Bound::new(format!("{name}({})", cast(value.clone(), &SqlType::Double)?.sql), SqlType::Double))
}

/// Several values as one that is NULL if any of them is.
fn tuple(values: &[Bound]) -> String {
    let nulls: Vec<String> = values.iter().map(|value| format!("{} IS NULL", value.sql)).collect();
    let all: Vec<&str> = values.iter().map(|value| value.sql.as_str()).collect();
    format!("CASE WHEN {} THEN NULL ELSE sr_array({}) END", nulls.join(" OR "), all.join(", "))
}
