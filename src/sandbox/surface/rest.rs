//! The frontend's common answers: success, failure, and the refusal of who is not let in.

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::route::Access;
use crate::sandbox::http::{self, Credentials, Ends, Reply};
use crate::sandbox::store::{CatalogError, Store};
use crate::sandbox::user::Privilege;

/// Says that it went well, behind what else there is to say.
pub(in crate::sandbox) fn success(mut answer: Map<String, Value>) -> Reply {
    for (name, value) in [("status", "OK"), ("code", "0"), ("msg", "Success"), ("message", "OK")] {
        answer.insert(name.to_owned(), value.into());
    }
    http::json(StatusCode::OK, &answer)
}

/// Says why it did not go well.
pub(in crate::sandbox) fn failure(status: StatusCode, message: &str) -> Reply {
    http::json(status, &json!({"status": "FAILED", "code": "1", "msg": message, "message": message}))
}

/// Says that the sandbox itself failed.
pub(in crate::sandbox) fn broken(error: &rusqlite::Error) -> Reply {
    failure(StatusCode::INTERNAL_SERVER_ERROR, &format!("the sandbox's database failed: {error}"))
}

/// The user who asks; the answer to whom is not known.
pub(in crate::sandbox) fn authenticate(store: &Store, head: &Parts, ends: Ends) -> Result<Credentials, Box<Reply>> {
    match Credentials::parse(&head.headers) {
        Some(found) if store.check_user(&found.user, &found.password) => Ok(found),
        other => Err(denied(&other.map(|found| found.user).unwrap_or_default(), ends)),
    }
}

/// Lets in who may ask about this; the name of the user, if one is asked for.
pub(super) fn admit(
    store: &Store,
    head: &Parts,
    ends: Ends,
    access: Access,
    (database, table): (&str, &str),
) -> Result<String, Box<Reply>> {
    if access == Access::Anybody {
        return Ok(String::new());
    }
    let user = authenticate(store, head, ends)?.user;
    let may = match access {
        Access::Anybody | Access::User => Ok(true),
        Access::Select => store.may(&user, Privilege::Select, database, table),
        Access::Insert => store.may(&user, Privilege::Insert, database, table),
        Access::Operator => store.is_operator(&user),
    };
    match may {
        Ok(true) => Ok(user),
        Ok(false) => Err(denied(&user, ends)),
        Err(error) => Err(Box::new(broken(&error))),
    }
}

/// What is said to somebody who may not.
pub(in crate::sandbox) fn denied(user: &str, ends: Ends) -> Box<Reply> {
    let message = format!("Access denied for {user}@{}", ends.remote);
    let mut reply = failure(StatusCode::UNAUTHORIZED, &message);
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"\""));
    Box::new(reply)
}

/// The words of the administrators' endpoints for a table that is not there.
pub(super) fn missing(error: &CatalogError, database: &str, table: &str) -> Reply {
    let message = match error {
        CatalogError::UnknownDatabase(_) => format!("Database[{database}] does not exist"),
        CatalogError::UnknownTable(_) => format!("Table[{table}] does not exist"),
        CatalogError::Sqlite(error) => return broken(error),
    };
    failure(StatusCode::OK, &message)
}
