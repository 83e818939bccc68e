//! The frontend's common answers: success, failure, and the refusal of who is not let in.

use hyper::StatusCode;
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};

use super::route::Access;
use crate::sandbox::http::{self, Credentials, Ends, Reply};
use crate::sandbox::store::{CatalogError, Store};

const ADMINISTRATOR: &str = "root";

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

/// Lets in who may ask; the name of the user, if one is asked for.
pub(super) fn admit(store: &Store, head: &Parts, ends: Ends, access: Access) -> Result<String, Box<Reply>> {
    if access == Access::Anybody {
        return Ok(String::new());
    }
    let user = authenticate(store, head, ends)?.user;
    if access == Access::Administrator && user != ADMINISTRATOR {
        return Err(denied(&user, ends));
    }
    Ok(user)
}

fn denied(user: &str, ends: Ends) -> Box<Reply> {
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
