//! Function calls.

use sqlparser::ast::{
    CeilFloorKind, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Interval, TrimWhereField, Value,
};

use super::Error;
use super::aggregate::Call;
use super::coerce::{cast, element_type, from_element, truth};
use super::expression::{Binder, boolean, compare, element, unified};
use super::function_table::{Parameter, Returns, SIMPLE, Signature};
use super::scope::Bound;
use crate::sandbox::types::{SqlType, literal};

impl Binder<'_> {
    /// Calls that the parser has a form of its own for, and plain calls.
    pub(super) fn call_like(&self, expression: &Expr) -> Result<Bound, Error> {
        match expression {
            Expr::Function(function) => self.function(function),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.bind(expr)?];
                for argument in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.bind(argument)?);
                }
                self.call("substring", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "trim",
                };
                let mut arguments = vec![self.bind(expr)?];
                let characters = trim_characters.as_deref().unwrap_or_default().first();
                arguments.extend(trim_what.as_deref().or(characters).map(|what| self.bind(what)).transpose()?);
                self.call(name, arguments)
            }
            Expr::Ceil { expr, field } => self.ceil_or_floor("ceil", expr, field),
            Expr::Floor { expr, field } => self.ceil_or_floor("floor", expr, field),
            Expr::Position { expr, r#in } => self.call("locate", vec![self.bind(expr)?, self.bind(r#in)?]),
            Expr::Extract { field, expr, .. } => {
                self.call(&field.to_string().to_ascii_lowercase(), vec![self.bind(expr)?])
            }
            other => Err(Error::unsupported(format!("the expression {other}"))),
        }
    }

    fn ceil_or_floor(&self, name: &str, operand: &Expr, kind: &CeilFloorKind) -> Result<Bound, Error> {
        match kind {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => self.call(name, vec![self.bind(operand)?]),
            _ => Err(Error::unsupported(format!("{name} to a unit"))),
        }
    }

    fn function(&self, function: &Function) -> Result<Bound, Error> {
        let name = function.name.to_string().replace('`', "").to_ascii_lowercase();
        if !matches!(function.parameters, FunctionArguments::None)
            || function.filter.is_some()
            || function.null_treatment.is_some()
            || !function.within_group.is_empty()
        {
            return Err(Error::unsupported(format!("{name} with FILTER, WITHIN GROUP or NULLS")));
        }
        let (arguments, distinct, clauses) = match &function.args {
            FunctionArguments::None => (Vec::new(), false, &[][..]),
            FunctionArguments::List(list) => {
                let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
                (plain_arguments(&name, &list.args)?, distinct, list.clauses.as_slice())
            }
            FunctionArguments::Subquery(_) => return Err(Error::unsupported(format!("{name} of a subquery"))),
        };
        let call = Call { name: &name, arguments: &arguments, distinct, clauses, over: function.over.as_ref() };
        if let Some(bound) = self.aggregate(&call)? {
            return Ok(bound);
        }
        if distinct || !clauses.is_empty() || function.over.is_some() {
            return Err(no_function(&name, &[]));
        }
        if let Some(bound) = self.with_unit(&name, &arguments)? {
            return Ok(bound);
        }
        let arguments = arguments.iter().map(|argument| self.argument(&name, argument)).collect::<Result<_, _>>()?;
        self.call(&name, arguments)
    }

    fn argument(&self, name: &str, argument: &FunctionArgExpr) -> Result<Bound, Error> {
        match argument {
            FunctionArgExpr::Expr(expression) => self.bind(expression),
            _ => Err(Error::analysis(format!("{name} does not take *"))),
        }
    }

    /// Functions with an INTERVAL or the name of a unit among their arguments.
    fn with_unit(&self, name: &str, arguments: &[FunctionArgExpr]) -> Result<Option<Bound>, Error> {
        let sign = match name {
            "date_add" | "adddate" | "timestampadd" => 1,
            "date_sub" | "subdate" => -1,
            "timestampdiff" => 0,
            _ => return Ok(None),
        };
        match arguments {
            [FunctionArgExpr::Expr(date), FunctionArgExpr::Expr(Expr::Interval(interval))] => {
                self.shifted(date, interval, sign).map(Some)
            }
            [FunctionArgExpr::Expr(date), FunctionArgExpr::Expr(days)] => {
                let days = self.bind(days)?;
                Self::moved(self.bind(date)?, &days, "day", sign).map(Some)
            }
            [FunctionArgExpr::Expr(Expr::Identifier(unit)), FunctionArgExpr::Expr(a), FunctionArgExpr::Expr(b)] => {
                let unit = unit_name(&unit.value)?;
                if name == "timestampdiff" {
                    let (from, to) = (self.moment(a)?, self.moment(b)?);
                    let sql = format!("sr_timestamp_diff('{unit}', {}, {})", from.sql, to.sql);
                    return Ok(Some(Bound::new(sql, SqlType::BigInt)));
                }
                let count = self.bind(a)?;
                Self::moved(self.bind(b)?, &count, &unit, sign).map(Some)
            }
            _ => Err(no_function(name, &[])),
        }
    }

    fn moment(&self, expression: &Expr) -> Result<Bound, Error> {
        cast(self.bind(expression)?, &SqlType::DateTime)
    }

    /// A date and an interval away from it.
    pub(super) fn shifted(&self, date: &Expr, interval: &Interval, sign: i64) -> Result<Bound, Error> {
        let Some(unit) = &interval.leading_field else {
            return Err(Error::unsupported(format!("{interval} without a unit")));
        };
        let unit = unit_name(&unit.to_string())?;
        let count = self.bind(&interval.value)?;
        Self::moved(self.bind(date)?, &count, &unit, sign)
    }

    fn moved(date: Bound, count: &Bound, unit: &str, sign: i64) -> Result<Bound, Error> {
        let date = cast(date, &SqlType::DateTime)?;
        let count = cast(count.clone(), &SqlType::Int)?;
        let sign = if sign < 0 { "-" } else { "" };
        Ok(Bound::new(format!("sr_date_add({}, {sign}({}), '{unit}')", date.sql, count.sql), SqlType::DateTime))
    }

    /// Calls a function by its name.
    pub(super) fn call(&self, name: &str, arguments: Vec<Bound>) -> Result<Bound, Error> {
        if let Some(bound) = self.constant_call(name, &arguments)? {
            return Ok(bound);
        }
        if let Some(bound) = conditional(name, &arguments)? {
            return Ok(bound);
        }
        if let Some(bound) = numeric(name, &arguments)? {
            return Ok(bound);
        }
        if let Some(bound) = typed(name, &arguments)? {
            return Ok(bound);
        }
        let fits = |signature: &&Signature| signature.names.contains(&name) && signature.takes(arguments.len());
        match SIMPLE.iter().find(fits) {
            Some(signature) => apply(signature, arguments),
            None => Err(no_function(name, &arguments)),
        }
    }

    /// Functions whose value the statement knows.
    fn constant_call(&self, name: &str, arguments: &[Bound]) -> Result<Option<Bound>, Error> {
        let context = self.context;
        let moment = |text: String, ty| Bound::new(literal(&text), ty);
        let whole = |moment: crate::sandbox::function::calendar::Moment| {
            moment.to_string().split('.').next().unwrap_or_default().to_owned()
        };
        let bound = match name {
            // A precision says how many digits of the second are wanted.
            "now" | "current_timestamp" | "localtime" | "localtimestamp" => match arguments {
                [] => moment(whole(context.now), SqlType::DateTime),
                _ => moment(context.now.to_string(), SqlType::DateTime),
            },
            "utc_timestamp" => moment(whole(context.utc_now), SqlType::DateTime),
            "curdate" | "current_date" => moment(context.now.date_text(), SqlType::Date),
            "curtime" | "current_time" => Bound::constant(whole(context.now).split(' ').nth(1).unwrap_or_default()),
            "unix_timestamp" if arguments.is_empty() => {
                Bound::new((context.utc_now.micros().div_euclid(1_000_000)).to_string(), SqlType::BigInt)
            }
            "unix_timestamp" if arguments.len() == 1 => {
                let moment = cast(arguments[0].clone(), &SqlType::DateTime)?;
                let sql = format!("(sr_unix_timestamp({}) - {})", moment.sql, context.offset_seconds);
                Bound::new(sql, SqlType::BigInt)
            }
            "from_unixtime" if (1..=2).contains(&arguments.len()) => {
                let seconds = cast(arguments[0].clone(), &SqlType::BigInt)?;
                let sql = format!("sr_from_unixtime({} + {})", seconds.sql, context.offset_seconds);
                match arguments.get(1) {
                    Some(format) => Bound::new(format!("sr_date_format({sql}, {})", format.sql), SqlType::TEXT),
                    None => Bound::new(sql, SqlType::TEXT),
                }
            }
            "database" | "schema" => context.database.map_or(Bound::new("NULL", SqlType::TEXT), Bound::constant),
            "user" | "session_user" | "system_user" | "current_user" => {
                Bound::constant(&format!("'{}'@'%'", context.user))
            }
            "catalog" | "current_catalog" => Bound::constant("default_catalog"),
            "current_role" => Bound::constant("root"),
            "connection_id" => Bound::new(context.connection_id.to_string(), SqlType::BigInt),
            "version" => Bound::constant(super::variables::MYSQL_VERSION),
            "current_version" => {
                let version = context.overview.map(crate::sandbox::overview::Overview::version);
                Bound::constant(version.as_deref().unwrap_or(super::variables::STARROCKS_VERSION))
            }
            "pi" => Bound::new(format!("{:?}", std::f64::consts::PI), SqlType::Double),
            "e" => Bound::new(format!("{:?}", std::f64::consts::E), SqlType::Double),
            _ => return Ok(None),
        };
        Ok(Some(bound))
    }
}

/// Functions that choose among their arguments.
fn conditional(name: &str, arguments: &[Bound]) -> Result<Option<Bound>, Error> {
    Ok(Some(match (name, arguments) {
        ("if", [condition, then, otherwise]) => {
            let (results, ty) = unified(vec![then.clone(), otherwise.clone()])?;
            let condition = truth(condition.clone())?;
            Bound::new(format!("CASE WHEN {condition} THEN {} ELSE {} END", results[0].sql, results[1].sql), ty)
        }
        ("ifnull" | "nvl", [_, _]) | ("coalesce", [_, _, ..]) => {
            let (all, ty) = unified(arguments.to_vec())?;
            let all: Vec<String> = all.into_iter().map(|bound| bound.sql).collect();
            Bound::new(format!("COALESCE({})", all.join(", ")), ty)
        }
        ("coalesce", [only]) => only.clone(),
        ("nullif", [value, other]) => {
            let equal = compare(value.clone(), "=", other.clone())?;
            Bound::new(format!("CASE WHEN {} THEN NULL ELSE {} END", equal.sql, value.sql), value.ty.clone())
        }
        ("isnull", [value]) => boolean(format!("({} IS NULL)", value.sql)),
        ("isnotnull", [value]) => boolean(format!("({} IS NOT NULL)", value.sql)),
        ("greatest" | "least", [_, _, ..]) => {
            let (all, ty) = unified(arguments.to_vec())?;
            let collation = super::coerce::collation(&ty);
            let all: Vec<String> = all.into_iter().map(|bound| format!("{}{collation}", bound.sql)).collect();
            Bound::new(format!("{}({})", if name == "greatest" { "MAX" } else { "MIN" }, all.join(", ")), ty)
        }
        _ => return Ok(None),
    }))
}

/// Functions that keep exact numbers exact.
fn numeric(name: &str, arguments: &[Bound]) -> Result<Option<Bound>, Error> {
    let Some(first) = arguments.first() else { return Ok(None) };
    let exact = first.ty.is_numeric_text();
    let digits = arguments.get(1).map_or("0", |digits| digits.sql.as_str());
    Ok(Some(match (name, arguments.len()) {
        ("abs", 1) if exact => Bound::new(format!("sr_decimal_abs({})", first.sql), first.ty.clone()),
        ("abs", 1) if first.ty.is_small_integer() || first.ty.is_float() => {
            Bound::new(format!("abs({})", first.sql), first.ty.clone())
        }
        ("abs", 1) => Bound::new(format!("abs({})", cast(first.clone(), &SqlType::Double)?.sql), SqlType::Double),
        ("ceil" | "ceiling" | "floor", 1) if first.ty.is_small_integer() => cast(first.clone(), &SqlType::BigInt)?,
        ("ceil" | "ceiling", 1) if exact => Bound::new(format!("sr_decimal_ceil({})", first.sql), SqlType::BigInt),
        ("floor", 1) if exact => Bound::new(format!("sr_decimal_floor({})", first.sql), SqlType::BigInt),
        ("round", 1) if !exact => {
            let rounded = format!("sr_round({}, 0)", cast(first.clone(), &SqlType::Double)?.sql);
            cast(Bound::new(rounded, SqlType::Double), &SqlType::BigInt)?
        }
        ("round" | "truncate", 1 | 2) if exact => rounded(name, first, digits, arguments.len() == 1)?,
        ("mod", 2) => {
            super::arithmetic::arithmetic(first.clone(), super::arithmetic::Operator::Remainder, arguments[1].clone())?
        }
        ("positive", 1) => first.clone(),
        ("negative", 1) => super::arithmetic::negate(first.clone())?,
        ("sign", 1) => {
            let number = cast(first.clone(), &SqlType::Double)?;
            Bound::new(format!("CAST(sign({}) AS INTEGER)", number.sql), SqlType::Float)
        }
        _ => return Ok(None),
    }))
}

/// An exact number with fewer digits behind the point. With a constant number of digits the type says so too.
fn rounded(name: &str, number: &Bound, digits: &str, whole: bool) -> Result<Bound, Error> {
    let (_, scale) = super::coerce::digits(&number.ty);
    let operation = if name == "round" { "round" } else { "truncate" };
    let sql = format!("sr_decimal_{operation}({}, {digits})", number.sql);
    let scale = if whole {
        0
    } else {
        digits.parse::<i64>().map_or(scale, |digits| u8::try_from(digits.clamp(0, i64::from(scale))).unwrap_or(scale))
    };
    let ty = SqlType::Decimal { precision: super::coerce::DIGITS_MAX, scale };
    cast(Bound::new(sql, SqlType::TEXT), &ty)
}

/// Functions whose result depends on the types of their arguments.
fn typed(name: &str, arguments: &[Bound]) -> Result<Option<Bound>, Error> {
    Ok(Some(match (name, arguments) {
        ("hex", [value]) if value.ty.is_small_integer() => Bound::new(format!("sr_hex({})", value.sql), SqlType::TEXT),
        ("date_trunc", [unit, value]) => {
            let ty = if value.ty == SqlType::Date { SqlType::Date } else { SqlType::DateTime };
            let moment = cast(value.clone(), &SqlType::DateTime)?;
            let truncated = Bound::new(format!("sr_date_trunc({}, {})", unit.sql, moment.sql), SqlType::DateTime);
            cast(truncated, &ty)?
        }
        ("element_at", [value, index]) => element(value, index)?,
        ("map_keys", [map]) => match &map.ty {
            SqlType::Map(key, _) => Bound::new(format!("sr_map_keys({})", map.sql), SqlType::Array(key.clone())),
            _ => return Err(no_function(name, arguments)),
        },
        ("map_values", [map]) => match &map.ty {
            SqlType::Map(_, value) => Bound::new(format!("sr_map_values({})", map.sql), SqlType::Array(value.clone())),
            _ => return Err(no_function(name, arguments)),
        },
        ("array_length" | "cardinality" | "map_size", [value]) if value.ty.is_nested() => {
            Bound::new(format!("sr_array_length({})", value.sql), SqlType::Int)
        }
        ("array_contains", [array, value]) if array.ty.is_nested() => {
            let Some(ty) = element_type(&array.ty) else { return Err(no_function(name, arguments)) };
            boolean(format!("sr_array_contains({}, {})", array.sql, cast(value.clone(), ty)?.sql))
        }
        ("array_first", [array]) => match element_type(&array.ty) {
            Some(ty) => from_element(format!("sr_element({}, 1)", array.sql), ty),
            None => return Err(no_function(name, arguments)),
        },
        ("split", [text, delimiter]) => {
            let (text, delimiter) = (cast(text.clone(), &SqlType::TEXT)?, cast(delimiter.clone(), &SqlType::TEXT)?);
            let sql = format!("sr_split({}, {})", text.sql, delimiter.sql);
            Bound::new(sql, SqlType::Array(Box::new(SqlType::TEXT)))
        }
        ("json_object", pairs) if pairs.len() % 2 == 0 => {
            let pairs: Vec<&str> = pairs.iter().map(|pair| pair.sql.as_str()).collect();
            Bound::new(format!("sr_json_object({})", pairs.join(", ")), SqlType::Json)
        }
        _ => return Ok(None),
    }))
}

/// Applies a function of the table.
fn apply(signature: &Signature, arguments: Vec<Bound>) -> Result<Bound, Error> {
    let mut all = Vec::new();
    for (at, argument) in arguments.into_iter().enumerate() {
        let parameter = signature.parameters.get(at).or(signature.parameters.last()).copied();
        all.push(match parameter {
            Some(Parameter::Text) => cast(argument, &SqlType::TEXT)?.sql,
            Some(Parameter::Integer) => cast(argument, &SqlType::BigInt)?.sql,
            Some(Parameter::Double) => cast(argument, &SqlType::Double)?.sql,
            Some(Parameter::Moment) => cast(argument, &SqlType::DateTime)?.sql,
            Some(Parameter::Document | Parameter::Bytes) | None => argument.sql,
        });
    }
    all.extend(signature.further.iter().skip(all.len() - signature.required()).map(|sql| (*sql).to_owned()));
    let ty = match signature.returns {
        Returns::Text => SqlType::TEXT,
        Returns::Is(ref ty) => ty.clone(),
    };
    Ok(Bound::new(format!("{}({})", signature.sql, all.join(", ")), ty))
}

fn plain_arguments(name: &str, arguments: &[FunctionArg]) -> Result<Vec<FunctionArgExpr>, Error> {
    let plain = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(argument) => Ok(argument.clone()),
        _ => Err(Error::analysis(format!("{name} does not take named arguments"))),
    };
    arguments.iter().map(plain).collect()
}

/// The unit of an interval, in the singular.
fn unit_name(unit: &str) -> Result<String, Error> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('s').unwrap_or(&unit);
    match unit {
        "year" | "quarter" | "month" | "week" | "day" | "hour" | "minute" | "second" | "millisecond"
        | "microsecond" => Ok(unit.to_owned()),
        _ => Err(Error::analysis(format!("the interval unit {unit} is not known"))),
    }
}

/// The refusal of a function that is not known, or not with these arguments.
pub(super) fn no_function(name: &str, arguments: &[Bound]) -> Error {
    let types: Vec<String> = arguments.iter().map(|argument| argument.ty.to_string()).collect();
    Error::analysis(format!("No matching function with signature: {name}({})", types.join(", ")))
}

/// The number in a constant expression, as LIMIT takes one.
pub(super) fn constant_number(expression: &Expr) -> Option<u64> {
    match expression {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}
