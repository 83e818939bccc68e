//! `ADMIN`: the settings of the frontends.

use super::Error;
use super::create::properties;
use super::listing::finish;
use super::scope::Context;
use super::session::{Answer, Table};
use super::token::Tokens;
use crate::sandbox::surface::config::{Refusal, Settings as _};
use crate::sandbox::user::Privilege;

/// Runs an ADMIN statement: `SHOW FRONTEND CONFIG [LIKE …]` or `SET FRONTEND CONFIG ("name" = "value")`.
pub(super) fn admin(context: &Context<'_>, tokens: &mut Tokens<'_>) -> Result<Answer, Error> {
    tokens.expect("ADMIN")?;
    let (_, overview) = context.surroundings()?;
    let settings = overview.settings();
    if tokens.accept(&["SHOW", "FRONTEND", "CONFIG"]) {
        context.allow(Privilege::Operate, "", "")?;
        let row = |setting: &&crate::sandbox::surface::config::Setting| {
            let mutable = setting.mutable.to_string();
            let cells = [setting.name, "[]", &setting.text(), setting.kind.name(), &mutable, setting.comment];
            cells.map(|cell| Some(cell.to_owned())).to_vec()
        };
        let rows = settings.all().iter().map(row).collect();
        let table = Table::new(&["Key", "AliasNames", "Value", "Type", "IsMutable", "Comment"], rows);
        return finish(tokens, table).map(Answer::Table);
    }
    if tokens.accept(&["SET", "FRONTEND", "CONFIG"]) {
        context.allow(Privilege::Operate, "", "")?;
        let given = properties(tokens)?;
        if tokens.is("WITH") {
            return Err(Error::unsupported("a setting that is kept over a restart (WITH PERSISTENT)"));
        }
        tokens.end()?;
        let [(name, value)] = given.as_slice() else {
            return Err(Error::analysis("config parameter size is not equal to 1"));
        };
        return match settings.set(name, value) {
            Ok(()) => Ok(Answer::Done { rows: 0 }),
            Err(Refusal::Unknown | Refusal::Immutable) => {
                Err(Error::analysis(format!("Config '{name}' does not exist or is not mutable")))
            }
            Err(Refusal::Malformed(kind)) => {
                Err(Error::analysis(format!("Config '{name}' is of type {}, which '{value}' is not", kind.name())))
            }
        };
    }
    let what = tokens.source()[tokens.offset()..].split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Err(Error::unsupported(format!("the statement ADMIN {what}")))
}

#[cfg(test)]
mod tests {
    use super::super::Session;
    use super::*;
    use crate::sandbox::overview::fake::Fake;
    use crate::sandbox::store::Store;

    #[test]
    fn settings_are_shown_and_set_by_who_may_operate() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let store = Store::open(dir.path(), None).expect("the store opens");
        let mut session = Session::new("root", 1, Fake::idle());
        let show = |session: &mut Session| {
            let answer = session.execute(&store, "ADMIN SHOW FRONTEND CONFIG LIKE 'label_keep_max_n%'");
            let Ok(Answer::Table(table)) = answer else { panic!("{answer:?}") };
            let cells = table.rows.iter().flatten().map(|cell| cell.clone().unwrap_or_default());
            cells.collect::<Vec<_>>().join("|")
        };
        let comment = "finished loads that a database remembers";
        assert_eq!(show(&mut session), format!("label_keep_max_num|[]|1000|int|true|{comment}"));
        session.execute(&store, "ADMIN SET FRONTEND CONFIG (\"label_keep_max_num\" = \"7\");").expect("it is set");
        assert_eq!(show(&mut session), format!("label_keep_max_num|[]|7|int|true|{comment}"));
        for (sql, words) in [
            ("ADMIN SET FRONTEND CONFIG (\"nope\" = \"1\")", "does not exist or is not mutable"),
            ("ADMIN SET FRONTEND CONFIG (\"http_max_header_size\" = \"1\")", "does not exist or is not mutable"),
            ("ADMIN SET FRONTEND CONFIG (\"label_keep_max_num\" = \"x\")", "of type int"),
            ("ADMIN SET FRONTEND CONFIG (\"a\" = \"1\", \"b\" = \"2\")", "not equal to 1"),
            ("ADMIN SET FRONTEND CONFIG (\"label_keep_max_num\" = \"8\") WITH PERSISTENT", "not supported"),
            ("ADMIN SHOW REPLICA STATUS FROM t", "ADMIN SHOW REPLICA"),
            ("ADMIN", "ADMIN"),
        ] {
            let refusal = session.execute(&store, sql).expect_err(sql).message;
            assert!(refusal.contains(words), "{sql}: {refusal}");
        }
        session.execute(&store, "CREATE USER u").expect("it is created");
        let mut other = Session::new("u", 2, Fake::idle());
        let refusal = other.execute(&store, "ADMIN SHOW FRONTEND CONFIG").expect_err("u may not").message;
        assert!(refusal.contains("OPERATE"), "{refusal}");
        assert!(show(&mut session).contains("|7|"));
    }
}
