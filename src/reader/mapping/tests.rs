//! Tables of fields, columns and lists, and what becomes of them.

use super::*;
use crate::failure::{Code, Failure};
use crate::model::table::VARCHAR_BYTES_MAX;
use crate::model::{Column, ColumnType};
use crate::reader::FieldRef;

/// A table from a text: `id INT!, note STRING, at DATETIME=, g INT@, b BITMAP, k INT#` where `!` is NOT NULL, `=` a default,
/// `@` generated, `#` a NOT NULL key.
fn table(text: &str) -> Table {
    let column = |part: &str| {
        let (name, rest) = part.trim().split_once(' ').unwrap();
        let marks = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        Column {
            nullable: !marks.contains(['!', '#']),
            key: marks.contains('#'),
            has_default: marks.contains('='),
            generated: marks.contains('@'),
            ..Column::new(name, rest[..rest.len() - marks.len()].parse().unwrap())
        }
    };
    Table { database: "db".into(), name: "t".into(), columns: text.split(',').map(column).collect() }
}

fn header(names: &str) -> SourceFields {
    let names: Vec<String> = names.split(',').map(str::to_owned).collect();
    SourceFields { count: names.len(), names: Some(names), kind: FieldKind::Delimited }
}

fn keys(names: &str) -> SourceFields {
    SourceFields { kind: FieldKind::Keyed, ..header(names) }
}

fn positions(count: usize) -> SourceFields {
    SourceFields { names: None, count, kind: FieldKind::Delimited }
}

fn mapped(fields: &SourceFields, columns: &str, list: Option<&str>) -> Result<Mapping, Error> {
    map(Path::new("in.csv"), fields, &table(columns), list)
}

/// A mapping as text: `id INT<0, tmp TEXT<1; total=tmp*2`.
fn shown(mapping: &Mapping) -> String {
    let projected = mapping.projected.iter().map(|projected| {
        let source = match &projected.source {
            FieldRef::Index(index) => index.to_string(),
            FieldRef::Name(name) => name.clone(),
        };
        let ty = match &projected.column.ty {
            ColumnType::Varchar(VARCHAR_BYTES_MAX) => "TEXT".to_owned(),
            ty => ty.to_string(),
        };
        format!("{} {ty}<{source}", projected.column.name)
    });
    [projected.collect::<Vec<_>>().join(", "), mapping.derived.join(", ")].join("; ")
}

#[test]
fn fields_find_their_columns() {
    for (fields, columns, list, expected) in [
        // By name, in the table's order, whatever the input's.
        (header("b,A"), "a INT, b STRING", None, "a INT<1, b STRING<0; "),
        (header("a"), "a INT, b STRING, c INT!=, g INT@", None, "a INT<0; "),
        (header("a"), "a INT, m BITMAP", None, "a INT<0; "),
        // By position.
        (positions(2), "a INT, g INT@, b STRING", None, "a INT<0, b STRING<1; "),
        (positions(3), "a INT, b INT", Some("b,skip,a"), "a INT<2, b INT<0; "),
        // JSON: keys beyond the sample may still come, except where the server has a default.
        (keys("A"), "a INT, b INT, c INT=", None, "a INT<A, b INT<b; "),
        (keys("x,y"), "a INT, b INT", Some("a=x,b"), "a INT<x, b INT<b; "),
        // The list is the user's word: the rest is ignored.
        (header("a,b,c"), "a INT, b INT, c INT", Some("c,a"), "a INT<0, c INT<2; "),
        (header("a,B"), "a INT, b INT", Some("A, b"), "a INT<0, b INT<1; "),
        // Renaming is done here, and keeps the column's type.
        (header("x,y"), "a INT, b DATE", Some("b=y,a=`x`"), "a INT<0, b DATE<1; "),
        (header("x"), "a INT, b DATE", Some("a=x,b=X"), "a INT<0, b DATE<0; "),
        // Expressions are the server's; their fields travel as text behind the columns.
        (header("a,x"), "a INT, b INT", Some("a,b=x*2"), "a INT<0, x TEXT<1; b=x*2"),
        (header("x,a"), "b INT, a INT", Some("a, b = a + X"), "a TEXT<1, x TEXT<0; b=a + `x`"),
        (positions(2), "a INT, b INT", Some("a,t,b=t+1"), "a INT<0, t TEXT<1; b=t+1"),
        (
            header("a"),
            "a INT, b DATE, c STRING",
            Some("a,b=current_date,c='x, y'"),
            "a INT<0; b=current_date, c='x, y'",
        ),
        (
            header("id,u"),
            "id INT, u BITMAP",
            Some("id,u=to_bitmap(u)"),
            "id INT<0, source_u TEXT<1; u=to_bitmap(`source_u`)",
        ),
        // A field that the list does not load must not slip into the column of its name.
        (header("a,b"), "a INT, b INT, c INT", Some("a,c=b*2"), "a INT<0, source_b TEXT<1; c=`source_b`*2"),
        (header("a,b"), "a INT, b INT", Some("a,b,b=b*2"), "a INT<0, source_b TEXT<1; b=`source_b`*2"),
        // Names that need quotes get a name that needs none.
        (
            header("a,unit price"),
            "a INT, p INT",
            Some("a,p=`unit price`*2"),
            "a INT<0, source_2 TEXT<1; p=`source_2`*2",
        ),
        // The virtual column of tables with a key.
        (header("k,__op"), "k INT#", None, "k INT<0, __op TINYINT<1; "),
        (header("k,d"), "k INT#", Some("k,__op=if(d='x',1,0)"), "k INT<0, d TEXT<1; __op=if(d='x',1,0)"),
        (header("k"), "k INT#, v INT!", Some("k"), "k INT<0; "),
    ] {
        let mapping = mapped(&fields, columns, list).unwrap_or_else(|error| panic!("{columns} {list:?}: {error}"));
        assert_eq!(shown(&mapping), expected, "{columns} {list:?}");
    }
}

#[test]
fn what_does_not_match_is_named_on_both_sides_with_what_to_do() {
    for (fields, columns, list, words, hint) in [
        (header("a,x"), "a INT, b INT!", None, &["`x`", "`b`"][..], "--columns a"),
        (header("id,amuont"), "id INT, amount INT", None, &["`amuont`"], "--columns amount=amuont"),
        (header("1,7.5"), "id INT, amount INT", None, &["`1`, `7.5`", "`id`, `amount`"], "--no-csv-header"),
        (keys("x"), "a INT", None, &["`x`", "`a`"], "--columns"),
        (header("a,"), "a INT", None, &["field 2 (it has no name)"], "--columns a"),
        (header("A,a"), "a INT", None, &["`A`, `a` both mean `a`"], "--columns"),
        (header("a,g"), "a INT, g INT@", None, &["computes `g` itself"], "--columns"),
        (header("a"), "a INT, b INT!", None, &["no field for `b`"], "expression"),
        (positions(3), "a INT, b INT", None, &["3 fields", "2 columns"], "--columns"),
        (positions(3), "a INT, b INT", Some("a,b"), &["names 2", "has 3"], "skipped"),
        (header("a"), "a INT", Some("a,bb"), &["`bb`", "no such field"], "its fields are `a`"),
        (header("amount"), "amount INT", Some("amuont"), &["`amuont`"], "did you mean `amount`?"),
        (header("a"), "a INT", Some("a,c=a+1"), &["`c` is no column of db.t"], "expression"),
        (header("a"), "a INT", Some("a=missing"), &["`missing`"], "its fields"),
        (header("a,x"), "a INT", Some("a,a"), &["twice"], "one of the two"),
        (header("a,x"), "a INT", Some("a=x,a=a+1"), &["twice"], "one of the two"),
        (header("a,x"), "a INT, b INT!", Some("a"), &["leaves out `b`"], "column=expression"),
        (header("a"), "a INT, g INT@", Some("a,g=a"), &["computes `g`"], "--columns"),
        (header("a,A"), "a INT", Some("b=1"), &["`b` is no column"], "expression"),
        (header("Ab,aB"), "ab INT", Some("ab"), &["could be any of the fields 1, 2"], "different names"),
        (header("a"), "a INT", Some("a='x"), &["no list", "not closed"], "a,b,c=upper(d)"),
        (header("a"), "a INT", Some("a=1"), &["takes nothing"], "at least one"),
    ] {
        let error = mapped(&fields, columns, list).expect_err(columns);
        assert_eq!(error.code(), Code::ColumnsMismatch, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}: {:?}", error.hint());
    }
}

#[test]
fn a_type_without_plain_values_asks_for_an_expression() {
    for (fields, list) in [(header("a,m"), None), (positions(2), None), (header("a,m"), Some("a,m"))] {
        let error = mapped(&fields, "a INT, m BITMAP", list).unwrap_err();
        assert_eq!(error.code(), Code::TypeUnsupported, "{error}");
        assert!(error.hint().unwrap().contains("m=to_bitmap("), "{error}");
    }
}

#[test]
fn columns_that_get_no_value_are_told() {
    let mapping = mapped(&header("a"), "a INT, b INT, c INT=, g INT@", None).unwrap();
    assert_eq!(
        mapping.notices,
        [
            "column `b` is not in the input: it becomes NULL",
            "column `c` is not in the input: the server fills in its default"
        ]
    );
    let mapping = mapped(&header("a,x"), "a INT", Some("a,x")).unwrap();
    assert!(mapping.notices[0].contains("`x` is listed"), "{:?}", mapping.notices);
}

#[test]
fn unknown_keys_are_refused_unless_the_list_says_that_others_are_ignored() {
    let known = mapped(&keys("A"), "a INT, b INT, c INT=", None).unwrap().known.unwrap();
    assert_eq!(known, HashSet::from(["A".to_owned(), "b".to_owned()]));
    assert_eq!(mapped(&keys("A"), "a INT, b INT", Some("a")).unwrap().known, None);
    assert_eq!(mapped(&header("a"), "a INT", None).unwrap().known, None);
}
